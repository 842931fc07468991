//! A projected volume as the kubelet mounts it, with atomic updates.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// A projected volume: files are links into `..data`, itself a link to a folder with a time for a name.
#[derive(Debug)]
pub struct ProjectedVolume {
    dir: PathBuf,
}

// === impl ProjectedVolume ===

impl ProjectedVolume {
    /// Creates the folder with these files (name, content).
    pub fn create(dir: impl Into<PathBuf>, files: &[(&str, &str)]) -> Result<Self> {
        let volume = Self { dir: dir.into() };
        fs::create_dir_all(&volume.dir)?;
        volume.update(files)?;
        Ok(volume)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The path of one of its files, as a pod names it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Replaces the content by these files, as the kubelet does: a rename swaps the `..data` link.
    pub fn update(&self, files: &[(&str, &str)]) -> Result<()> {
        let fresh = format!("..{}", nanoseconds());
        fs::create_dir(self.dir.join(&fresh))?;
        for (name, content) in files {
            fs::write(self.dir.join(&fresh).join(name), content)?;
        }
        let data = self.dir.join("..data");
        let old = fs::read_link(&data).ok();
        let swap = self.dir.join("..data_tmp");
        symlink(&fresh, &swap)?;
        fs::rename(&swap, &data).context("swapping ..data")?;
        for (name, _) in files {
            self.link(name)?;
        }
        old.map_or(Ok(()), |old| fs::remove_dir_all(self.dir.join(old)).map_err(Into::into))
    }

    fn link(&self, name: &str) -> Result<()> {
        let link = self.dir.join(name);
        if link.is_symlink() {
            return Ok(());
        }
        symlink(Path::new("..data").join(name), link).context("linking into ..data")
    }
}

// === private ===

fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_is_visible_through_the_same_path() {
        let dir = tempfile::tempdir().unwrap();
        let volume = ProjectedVolume::create(dir.path().join("sa"), &[("token", "one")]).unwrap();
        assert_eq!(fs::read_to_string(volume.file("token")).unwrap(), "one");
        volume.update(&[("token", "two"), ("ca.crt", "ca")]).unwrap();
        assert_eq!(fs::read_to_string(volume.file("token")).unwrap(), "two");
        assert_eq!(fs::read_to_string(volume.file("ca.crt")).unwrap(), "ca");
    }

    #[test]
    fn update_leaves_only_the_newest_folder() {
        let dir = tempfile::tempdir().unwrap();
        let volume = ProjectedVolume::create(dir.path(), &[("token", "one")]).unwrap();
        volume.update(&[("token", "two")]).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.retain(|name| name != "..data" && name != "token");
        assert_eq!(names.len(), 1);
    }
}
