//! What `heckle init` writes: a plan, a driver and a toy server that run as they are, for a user who replaces them one by one.

use std::path::Path;

/// The files, each with its text. `{NAME}` stands for the system's name.
const FILES: [(&str, &str); 3] = [
    ("plan.toml", include_str!("skeleton/plan.toml")),
    ("driver.py", include_str!("skeleton/driver.py")),
    ("server.py", include_str!("skeleton/server.py")),
];

/// Letters of a name, at most, as a plan takes them.
const MAX_NAME: usize = 32;

/// Writes a skeleton into a new folder of that name. Gives the names of its files.
///
/// # Errors
/// If the name does not fit, the folder exists, or it cannot be written.
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
