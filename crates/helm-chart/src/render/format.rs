//! Values as text: Go's fmt, YAML as goyaml v2 and v3 write it, JSON as encoding/json does, TOML.
