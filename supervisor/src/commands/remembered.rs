//! What was chosen of each project the last time, in the user's state folder (XDG Base Directory Specification).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use monday_shared::state_dir::state_dir;

/// What was ticked, by project.
type Choices = BTreeMap<String, Vec<String>>;

/// What was chosen of that project the last time.
#[must_use]
pub fn of(project: &str) -> Option<Vec<String>> {
    read(&file()?).remove(project)
}

/// Remembers what was chosen. That it cannot be remembered keeps nobody from running it.
pub fn keep(project: &str, ticked: &[String]) {
    let Some(file) = file() else { return };
    let mut choices = read(&file);
    choices.insert(project.to_owned(), ticked.to_vec());
    if let Err(error) = write(&file, &choices) {
        tracing::debug!(%error, file = %file.display(), "the choice is not remembered");
    }
}

fn file() -> Option<PathBuf> {
    Some(state_dir()?.join("choices.json"))
}

fn read(file: &Path) -> Choices {
    let text = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(file: &Path, choices: &Choices) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Whole or not at all: two runs may write at the same moment.
    let new = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&new, choices)?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_of_several_projects_are_kept_and_a_broken_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/choices.json");
        let mut choices = read(&file);
        assert!(choices.is_empty());
        choices.insert("shop".to_owned(), vec!["api".to_owned()]);
        choices.insert("blog".to_owned(), Vec::new());
        write(&file, &choices).unwrap();
        assert_eq!(read(&file), choices);
        std::fs::write(&file, "{").unwrap();
        assert!(read(&file).is_empty());
    }
}
