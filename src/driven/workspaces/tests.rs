use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

struct Place {
    dir: TempDir,
    workspaces: FsWorkspaces,
    user: UserId,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let workspaces = FsWorkspaces::new(dir.path().join("root")).unwrap_or_else(|error| panic!("{error}"));
        Self { dir, workspaces, user: UserId::new() }
    }

    async fn create(&self, lab: &str) -> PathBuf {
        self.workspaces.create(self.user, lab).await.unwrap_or_else(|error| panic!("{error}")).0
    }

    fn user_dir(&self) -> PathBuf {
        self.workspaces.root.join(self.user.to_string())
    }

    /// A directory outside the root with a file in it.
    fn outside(&self) -> PathBuf {
        let outside = self.dir.path().join("outside");
        fs::create_dir_all(&outside).expect("a directory");
        fs::write(outside.join("precious"), "kept").expect("a file");
        outside
    }

    fn outside_is_whole(&self) {
        let outside = self.dir.path().join("outside");
        assert_eq!(fs::read_to_string(outside.join("precious")).ok().as_deref(), Some("kept"));
        assert_eq!(
            fs::read_dir(outside).map(Iterator::count).ok(),
            Some(1),
            "something was put outside the root"
        );
    }

    /// The codes with which all four calls refuse, or `ok`.
    async fn codes(&self, lab: &str) -> [&'static str; 4] {
        fn code<T>(result: Result<T>) -> &'static str {
            result.map_or_else(|error| error.code, |_| "ok")
        }
        let from = self.outside();
        [
            code(self.workspaces.create(self.user, lab).await),
            code(self.workspaces.find(self.user, lab).await),
            code(self.workspaces.fill(self.user, lab, &from).await),
            code(self.workspaces.remove(self.user, lab).await),
        ]
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_directory_is_made_once_private_and_below_its_user() {
    let place = Place::new();
    let (path, made) = place.workspaces.create(place.user, "web-1.0_a").await.expect("made");
    assert!(made && path == place.user_dir().join("web-1.0_a"));
    for private in [&place.workspaces.root, &place.user_dir(), &path] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("our own directory");
    let (again, made) = place.workspaces.create(place.user, "web-1.0_a").await.expect("found");
    assert!(!made && again == path && mode(&path) == 0o700);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_can_be_removed() {
    let place = Place::new();
    assert_eq!(place.workspaces.find(place.user, "web").await.expect("no error"), None);
    place.workspaces.remove(place.user, "web").await.expect("nothing to do");
    let path = place.create("web").await;
    assert_eq!(place.workspaces.find(place.user, "web").await.expect("no error"), Some(path));
    assert_eq!(place.workspaces.find(UserId::new(), "web").await.expect("no error"), None);
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    place.outside();
    let long = "a".repeat(65);
    for lab in [
        "",
        ".",
        "..",
        "../web",
        "../../outside",
        "/etc",
        "a/b",
        "a/../b",
        "a..b",
        ".hidden",
        "-rf",
        "_a",
        "a\0b",
        "a\\b",
        "Web",
        "web ",
        "a\nb",
        "lab\u{301}",
        "\u{2025}",
        "~root",
        "$HOME",
        &long,
    ] {
        assert_eq!(place.codes(lab).await, ["workspace.name_invalid"; 4], "{lab:?}");
    }
    assert_eq!(fs::read_dir(&place.workspaces.root).map(Iterator::count).ok(), Some(0));
    place.create(&"a".repeat(64)).await;
}

#[tokio::test]
async fn a_link_in_the_place_of_the_lab_is_refused_and_removed_without_its_target() {
    let place = Place::new();
    place.create("other").await;
    symlink(place.outside(), place.user_dir().join("web")).expect("a link");
    let refused = "workspace.not_a_directory";
    assert_eq!(place.codes("web").await, [refused, refused, refused, "ok"]);
    assert!(fs::symlink_metadata(place.user_dir().join("web")).is_err(), "the link is gone");
    place.outside_is_whole();
}

#[tokio::test]
async fn a_link_in_the_place_of_the_user_is_refused() {
    let place = Place::new();
    let outside = place.outside();
    symlink(&outside, place.user_dir()).expect("a link");
    assert_eq!(place.codes("web").await, ["workspace.not_a_directory"; 4]);
    place.outside_is_whole();
}

#[tokio::test]
async fn a_file_in_the_place_of_the_lab_is_not_taken_for_it() {
    let place = Place::new();
    place.create("other").await;
    fs::write(place.user_dir().join("web"), "").expect("a file");
    let refused = "workspace.not_a_directory";
    assert_eq!(place.codes("web").await, [refused, refused, refused, "ok"]);
}

#[tokio::test]
async fn a_lab_is_copied_with_what_is_below_it_and_without_its_links() {
    let place = Place::new();
    let lab = place.dir.path().join("lab");
    fs::create_dir_all(lab.join("modules/deep")).expect("directories");
    fs::write(lab.join("main.tf"), "new").expect("a file");
    fs::write(lab.join("modules/deep/a.tf"), "deep").expect("a file");
    fs::write(lab.join("grade"), "#!/bin/sh").expect("a file");
    fs::set_permissions(lab.join("grade"), fs::Permissions::from_mode(0o755)).expect("our own file");
    symlink(place.outside().join("precious"), lab.join("link")).expect("a link");
    symlink(place.outside(), lab.join("folder")).expect("a link");

    let path = place.create("web").await;
    fs::write(path.join("main.tf"), "old and longer").expect("a file");
    fs::write(path.join("terraform.tfstate"), "{}").expect("a file");
    for _ in 0..2 {
        place.workspaces.fill(place.user, "web", &lab).await.unwrap_or_else(|error| panic!("{error}"));
        let read = |name: &str| fs::read_to_string(path.join(name)).ok();
        assert_eq!(read("main.tf").as_deref(), Some("new"));
        assert_eq!(read("modules/deep/a.tf").as_deref(), Some("deep"));
        assert_eq!(read("terraform.tfstate").as_deref(), Some("{}"), "what the lab does not have stays");
        assert_eq!((mode(&path.join("grade")), mode(&path.join("main.tf"))), (0o700, 0o600));
        assert_eq!(mode(&path.join("modules/deep")), 0o700);
        assert!(
            fs::symlink_metadata(path.join("link")).is_err()
                && fs::symlink_metadata(path.join("folder")).is_err()
        );
    }
    let missing = place.workspaces.fill(place.user, "web", &place.dir.path().join("nothing")).await;
    assert_eq!(missing.err().map(|error| error.kind), Some(Kind::Internal));
}

#[tokio::test]
async fn a_copy_replaces_links_and_never_writes_through_them() {
    let place = Place::new();
    let outside = place.outside();
    let lab = place.dir.path().join("lab");
    fs::create_dir_all(lab.join("modules")).expect("directories");
    fs::write(lab.join("main.tf"), "new").expect("a file");
    fs::write(lab.join("modules/precious"), "new").expect("a file");
    let path = place.create("web").await;
    symlink(outside.join("precious"), path.join("main.tf")).expect("a link");
    symlink(&outside, path.join("modules")).expect("a link");
    place.workspaces.fill(place.user, "web", &lab).await.unwrap_or_else(|error| panic!("{error}"));
    place.outside_is_whole();
    assert_eq!(fs::read_to_string(path.join("modules/precious")).ok().as_deref(), Some("new"));
    assert!(fs::symlink_metadata(path.join("main.tf")).is_ok_and(|found| found.is_file()));
}

#[tokio::test]
async fn a_removal_takes_all_that_is_below_and_nothing_that_is_linked_to() {
    let place = Place::new();
    let (path, other) = (place.create("web").await, place.create("other").await);
    fs::create_dir_all(path.join("a/b/c")).expect("directories");
    fs::write(path.join("a/b/c/file"), "").expect("a file");
    symlink(place.outside(), path.join("a/out")).expect("a link");
    symlink("nowhere", path.join("dangling")).expect("a link");
    fs::set_permissions(path.join("a/b"), fs::Permissions::from_mode(0o500)).expect("our own directory");
    for _ in 0..2 {
        place.workspaces.remove(place.user, "web").await.unwrap_or_else(|error| panic!("{error}"));
        assert!(!path.exists() && other.exists());
    }
    place.outside_is_whole();
}

#[tokio::test]
async fn a_link_swapped_in_while_a_tree_is_removed_is_never_followed() {
    let place = Place::new();
    let outside = place.outside();
    let path = place.create("web").await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = {
        let (path, stop) = (path.join("swap"), stop.clone());
        std::thread::spawn(move || {
            let mut swaps = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Each of these may fail, as the removal takes things away in between.
                let _ = fs::create_dir(&path);
                let _ = fs::remove_dir(&path);
                swaps += usize::from(symlink(&outside, &path).is_ok());
                let _ = fs::remove_file(&path);
            }
            swaps
        })
    };
    for _ in 0..300 {
        // A swap between two looks may fail the removal; it must not lead it astray.
        let _ = place.workspaces.remove(place.user, "web").await;
        let _ = place.workspaces.create(place.user, "web").await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(swapper.join().expect("the swapper ends") > 0, "nothing was swapped");
    place.outside_is_whole();
    place.workspaces.remove(place.user, "web").await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!path.exists());
}

#[tokio::test]
async fn one_of_many_creates_at_once_made_it() {
    let place = Place::new();
    let all =
        futures_util::future::join_all((0..16).map(|_| place.workspaces.create(place.user, "web"))).await;
    assert_eq!(all.into_iter().filter(|made| matches!(made, Ok((_, true)))).count(), 1);
}

#[test]
fn a_root_that_is_a_file_is_refused() {
    let dir = TempDir::new().expect("a temporary directory");
    fs::write(dir.path().join("root"), "").expect("a file");
    assert!(FsWorkspaces::new(dir.path().join("root")).is_err());
    assert!(FsWorkspaces::new(dir.path().join("no/parent")).is_err());
}
