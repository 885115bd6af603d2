"""Room for other projects' weights and for the Hub: `diptych import`, `push` and `hf:` addresses.

Nothing is here yet. `--init FILE.safetensors` takes Diptych's own files alone: see `training/`.
"""
