"""Stand-in for `python -m torchtitan.train`: it takes its TOML file, and flags that win over it."""

import frameworks
import train

if __name__ == "__main__":
    train.main(frameworks.torchtitan)
