#!/usr/bin/env python3
"""Stand-in for Megatron-LM's pretrain_gpt.py: it takes its flags."""

import frameworks
import train

if __name__ == "__main__":
    train.main(frameworks.megatron)
