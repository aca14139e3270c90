//! The families against real messages.

use super::{OomMessage, Passage, Process, Proof, read};
use crate::oom::fixtures::{cases, released_messages, render};
use crate::oom::kind::{Kind, Nature};
use crate::size::parse_size;

fn message(text: &str) -> Option<OomMessage> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    read(&Passage::new(first, &lines.collect::<Vec<_>>()))
}

#[test]
fn every_released_allocator_is_read_exactly() {
    let size = |text: &str| parse_size(text);
    let all = released_messages();
    assert_eq!(all.len(), 32);
    for (release, scenario, text) in all {
        let found = message(&text).unwrap();
        let mut expected = OomMessage { device: Some(0), ..OomMessage::bare(Kind::CudaCachingAllocator) };
        let other = Process { pid: 4242, bytes: size("450.00 MiB") };
        match scenario.as_str() {
            "true-OOM" => {
                expected.tried = size("30.00 GiB");
                expected.capacity = size("79.20 GiB");
                expected.free = size("18.71 GiB");
                expected.this_process = size("60.55 GiB");
                expected.processes = vec![other];
                expected.allocated = size("60.00 GiB");
                expected.reserved_unallocated = size("1.90 MiB");
            }
            "fragmented" => {
                expected.tried = size("2.89 GiB");
                expected.capacity = size("39.06 GiB");
                expected.free = size("170.00 MiB");
                expected.allocated = size("31.80 GiB");
                expected.reserved_unallocated = size("6.61 GiB");
            }
            "private pool + memory fraction" => {
                expected.tried = size("60.00 GiB");
                expected.capacity = size("79.20 GiB");
                expected.free = size("43.72 GiB");
                expected.this_process = size("34.67 GiB");
                expected.processes = vec![other];
                expected.allocated = size("35.00 GiB");
                expected.private_pools = size("2.00 GiB");
                expected.reserved_unallocated = Some(0);
                // Up to 2.4 the cap was computed and not printed.
                expected.limit = if release == "2.4.1" { None } else { size("71.28 GiB") };
            }
            other => panic!("unknown scenario {other}"),
        }
        expected.reserved = expected.allocated.zip(expected.reserved_unallocated).map(|(a, u)| a + u);
        assert_eq!(found, expected, "{release} {scenario}");
    }
}

#[test]
fn every_case_comes_back() {
    let all = cases();
    assert_eq!(all.len(), 157);
    for case in all {
        let text = render(&case);
        let found = message(&text).unwrap_or_else(|| panic!("{}: nothing read in {text}", case.id));
        let fields = &case.fields;
        assert_eq!(found.kind, case.kind, "{}: {text}", case.id);
        let given = [
            (found.tried, fields.tried_bytes, "tried"),
            (found.capacity, fields.capacity_bytes, "capacity"),
            (found.free, fields.free_bytes, "free"),
            (found.allocated, fields.allocated_bytes, "allocated"),
            (found.reserved, fields.reserved_bytes, "reserved"),
            (found.reserved_unallocated, fields.reserved_unallocated_bytes, "unallocated"),
            (found.private_pools, fields.private_pool_bytes, "pools"),
            (found.limit, fields.allowed_bytes, "limit"),
            (found.this_process, fields.this_process_bytes.filter(|bytes| *bytes > 0), "this process"),
        ];
        for (read, expected, name) in given {
            assert_eq!(read, expected, "{} {name}: {text}", case.id);
        }
        assert_eq!(found.processes, fields.other_processes, "{}: {text}", case.id);
        let (expected, gone) = (fields.device, case.flags.iter().any(|flag| flag == "empty_device_index"));
        let known = case.kind.is_caching_allocator() && !gone && fields.capacity_bytes.is_some();
        assert!(!known || found.device == expected, "{}: {text}", case.id);
        assert_eq!(
            found.kind.nature() != Nature::Gpu,
            case.label == "not_gpu_oom" || found.kind == Kind::CaughtRetry
        );
    }
}

#[test]
fn wrapping_bold_and_lost_spaces_change_nothing() {
    for case in cases().into_iter().filter(|case| case.kind.is_caching_allocator()) {
        let text = render(&case);
        let whole = message(&text);
        for at in (1..text.len()).step_by(7) {
            // The scanner finds a cut message by whichever half of its head is whole; here the first line has it.
            let Some(head) = text.find("Tried to allocate") else { continue };
            if at < head + 17 || !text.is_char_boundary(at) {
                continue;
            }
            let wrapped = format!("{}\n{}", &text[..at], &text[at..]);
            assert_eq!(message(&wrapped), whole, "{}: {wrapped}", case.id);
        }
        assert_eq!(message(&text.replace(" GiB", "\u{a0}**GiB**")), whole, "{}", case.id);
        assert_eq!(message(&text.replace(". ", ".")), whole, "{}", case.id);
    }
}

#[test]
fn two_messages_in_one_text_keep_their_numbers() {
    let all = released_messages();
    let (first, second) = (&all[0].2, &all[1].2);
    let joined = message(&format!("{first}\n{second}")).unwrap();
    assert_eq!(Some(joined), message(first));
}

#[test]
fn later_texts() {
    let base = &released_messages()[0].2;
    let on = format!(
        "{base} expandable_segments is enabled. If instead the process is running out of virtual address space"
    );
    assert_eq!(message(&on).unwrap().hint_expandable, Some(true));
    assert_eq!(message(base).unwrap().hint_expandable, None);
    let rejected = "torch.OutOfMemoryError: CUDA out of memory. Allocation was preemptively rejected because it would exceed \
                    per_process_memory_fraction limit. Requested size: 30.00 GiB";
    assert_eq!(message(rejected).unwrap().tried, parse_size("30.00 GiB"));
    let huge = message("RuntimeError: CUDA out of memory. Tried to allocate more than 1EB memory.").unwrap();
    assert_eq!((huge.kind, huge.tried), (Kind::CudaCachingAllocator, None));
    let nvml = "RuntimeError: NVML_SUCCESS == DriverAPI::get()->nvmlInit_v2_() INTERNAL ASSERT FAILED at \
                \"/pytorch/c10/cuda/CUDACachingAllocator.cpp\":1123, please report a bug to PyTorch.";
    assert_eq!(message(nvml).unwrap().kind, Kind::NvmlAssert);
    let handle = "RuntimeError: handle_1 INTERNAL ASSERT FAILED at \"../c10/cuda/driver_api.cpp\":15, please report a bug";
    assert_eq!(message(handle).unwrap().kind, Kind::NvmlAssert);
}

#[test]
fn a_name_is_all_that_some_messages_have() {
    for (text, kind) in [
        ("torch.OutOfMemoryError: Allocation on device ", Kind::CudaAsyncAllocator),
        ("torch.OutOfMemoryError: MUSA out of memory", Kind::MusaCachingAllocator),
        ("RuntimeError: NPU out of memory.", Kind::NpuCachingAllocator),
        ("RuntimeError: CUDA error:out of memory", Kind::CudaDriver),
        ("cuda failed with error 2 out of memory. use CUDA_LAUNCH_BLOCKING=1", Kind::CudaDriver),
        (
            "InternalError: Check failed: (e == cudaSuccess || e == cudaErrorCudartUnloading) is false: CUDA: out of memory",
            Kind::CudaDriver,
        ),
        (
            "ray.memory_monitor.RayOutOfMemoryError: More than 95% of the memory on node gpu-21 is used",
            Kind::HostOom,
        ),
        ("RuntimeError: $ Torch: not enough memory: you tried to allocate 0GB. Buy new RAM!", Kind::HostOom),
    ] {
        assert_eq!(message(text), Some(OomMessage::bare(kind)), "{text}");
    }
    let musa = "RuntimeError: MUSA out of memory. Tried to allocate 896.00 MiB (GPU 1; 47.77 GiB total capacity; 46.00 GiB \
                already allocated; 512.00 MiB free; 46.50 GiB reserved in total by PyTorch)";
    let found = message(musa).unwrap();
    assert_eq!((found.kind, found.device), (Kind::MusaCachingAllocator, Some(1)));
    assert_eq!((found.free, found.reserved), (parse_size("512 MiB"), parse_size("46.5 GiB")));
}

#[test]
fn tensorflow_names_its_allocator() {
    let line = "ResourceExhaustedError: OOM when allocating tensor with shape[64,1024] and type float on /job:a by allocator ";
    assert_eq!(message(&format!("{line}GPU_0_bfc")).unwrap().kind, Kind::Tensorflow);
    assert_eq!(message(&format!("{line}cuda_host_bfc")).unwrap().kind, Kind::HostOom);
}

#[test]
fn other_asserts_and_words_are_no_oom() {
    for text in [
        "!block->expandable_segment_ INTERNAL ASSERT FAILED at \"../c10/cuda/CUDACachingAllocator.cpp\":2814",
        "If you encounter CUDA out of memory, try to set --tile with a smaller number.",
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "RuntimeError: cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7753, OpType=_REDUCE_SCATTER_BASE)",
        "we tried to allocate 3 GPUs",
        "Killed by user request: stop",
        "error_handler: killed",
    ] {
        let found = message(text).filter(|found| found.proof == Proof::Says);
        assert_eq!(found, None, "{text}");
    }
}

#[test]
fn libraries_on_the_device_are_no_host_memory() {
    for (text, kind, tried) in [
        (
            "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 1,024,000,000 bytes (allocated so far: 2,048 bytes).",
            Kind::CudaDriver,
            Some(1_024_000_000),
        ),
        (
            "MemoryError: std::bad_alloc: out_of_memory: CUDA error at: /rmm/mr/device/cuda_memory_resource.hpp:70: cudaErrorMemoryAllocation out of memory",
            Kind::CudaDriver,
            None,
        ),
        (
            "ResourceExhaustedError: Out of memory error on GPU 0. Cannot allocate 2.0GB memory on GPU 0, 10GB memory has been allocated",
            Kind::CudaDriver,
            None,
        ),
        ("Error out of memory at line 380 in file /src/csrc/ops.cu", Kind::CudaDriver, None),
        (
            "RuntimeError: [enforce fail at context_gpu.cu:415] error == cudaSuccess. 2 vs 0. Error at: context_gpu.cu:415: out of memory",
            Kind::CudaDriver,
            None,
        ),
        (
            "RuntimeError: level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
            Kind::CudaDriver,
            None,
        ),
        (
            "torch._C._LinAlgError: cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
            Kind::CudaDriver,
            None,
        ),
        (
            "RuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            Kind::Cudnn,
            None,
        ),
        ("torch.AcceleratorError: CUDA error: out of memory", Kind::CudaDriver, None),
    ] {
        let found = message(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((found.kind, found.tried), (kind, tried), "{text}");
    }
}

#[test]
fn refused_host_memory_and_kills_are_told_apart() {
    for text in [
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 12.0 GiB for an array with shape (1, 2) and data type float32",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OSError: [Errno 12] Cannot allocate memory",
        "RuntimeError: unable to mmap 1073741824 bytes from file </dev/shm/x>: Cannot allocate memory (12)",
        "slurmstepd: error: Job 123 exceeded memory limit (1048600 > 1048576), being killed",
        "slurmstepd: error: StepId=123.0 exceeded memory limit (1048600 > 1048576), being killed",
    ] {
        let found = message(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((found.kind, found.proof), (Kind::HostOom, Proof::Says), "{text}");
    }
    for text in [
        "srun: error: gpu-21: task 3: Killed",
        "srun: error: gpu-21: tasks 0,2-3: Exited with exit code 137",
        "subprocess.CalledProcessError: Command '['python']' died with <Signals.SIGKILL: 9>.",
        "torch.multiprocessing.spawn.ProcessExitedException: process 3 terminated with signal SIGKILL",
        "accelerate: Command returned non-zero exit status 137.",
    ] {
        let found = message(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((found.kind, found.proof), (Kind::HostOom, Proof::Suggests), "{text}");
    }
    for text in [
        "NET/IB : ibv_reg_mr failed: Cannot allocate memory",
        "with self.assertRaises(MyMemoryErrorHandler):",
        "Process finished with exit code 1",
    ] {
        assert_eq!(message(text), None, "{text}");
    }
}

#[test]
fn every_slurm_wording_is_host_memory() {
    for text in [
        "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0 cgroup. Some of your processes may have been killed by the cgroup out-of-memory handler.",
        "slurmstepd: error: Detected 3 oom-kill event(s) in StepId=12.batch. Some of your processes may have been killed by the cgroup out-of-memory handler.",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.",
        "srun: error: gpu-21: task 3: Out Of Memory",
        "srun: error: gpu-21: tasks 0,2-3: Out Of Memory",
    ] {
        let found = message(text).unwrap();
        assert_eq!((found.kind, found.proof), (Kind::HostOom, Proof::Says), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "(?s).{0,400}") {
        let _ = message(&text);
    }

    #[test]
    fn torn_messages_never_panic_and_never_invent(at in 0usize..700, case in 0usize..157) {
        let text = render(&cases()[case]);
        let cut = crate::text::cut(&text, at);
        if let (Some(part), Some(whole)) = (message(cut), message(&text)) {
            for (part, whole) in [(part.tried, whole.tried), (part.capacity, whole.capacity), (part.free, whole.free),
                                  (part.reserved_unallocated, whole.reserved_unallocated)] {
                proptest::prop_assert!(part.is_none() || part == whole, "{cut}");
            }
        }
    }
}
