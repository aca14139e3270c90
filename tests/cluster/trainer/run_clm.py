#!/usr/bin/env python3
"""Stand-in for transformers' examples/pytorch/language-modeling/run_clm.py: it takes its flags, and a DeepSpeed file."""

import frameworks
import train

if __name__ == "__main__":
    train.main(frameworks.hugging_face)
