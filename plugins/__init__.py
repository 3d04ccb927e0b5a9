"""The built-in plugins. Each imports the core only; ``registry.toml`` lists them."""
