//! The files that `heckle init` writes: a plan, a driver and a toy server. They run as generated, and the user replaces them one by
//! one.

use std::path::Path;

/// File names and contents. `{NAME}` is replaced with the system's name.
const FILES: [(&str, &str); 3] = [
    ("plan.toml", include_str!("skeleton/plan.toml")),
    ("driver.py", include_str!("skeleton/driver.py")),
    ("server.py", include_str!("skeleton/server.py")),
];

/// Maximum number of characters in a name; a plan has the same limit.
const MAX_NAME: usize = 32;

/// Writes a skeleton into a new folder named after the system. Returns the names of its files.
///
/// # Errors
/// Fails if the name is invalid, the folder already exists, or the skeleton cannot be written.
pub fn write(folder: &Path) -> Result<Vec<&'static str>, String> {
    let shown = folder.display();
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) || matches!(name, "latest" | "latest-failed") {
        return Err(format!("`{shown}`: the name of a system has up to {MAX_NAME} letters, digits, `-` and `_`"));
    }
    std::fs::create_dir(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{shown} exists: choose another name, or remove it"),
        _ => format!("cannot make {shown}: {e}"),
    })?;
    for (file, text) in FILES {
        let path = folder.join(file);
        std::fs::write(&path, text.replace("{NAME}", name)).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(FILES.map(|(file, _)| file).to_vec())
}
