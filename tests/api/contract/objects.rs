use flow_domain::objects::Objects;
use flow_manager::driven::objects::{ObjectsSettings, open};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use super::code;
use crate::ingest::S3;

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("in");
    let settings = ObjectsSettings {
        url: format!("file://{}", place.display()),
        endpoint: None,
        region: String::new(),
        keys: None,
    };
    let objects = open(&settings).unwrap();
    suite(&objects, &LocalFileSystem::new_with_prefix(folder.path()).unwrap()).await;
    std::fs::remove_dir_all(&place).unwrap();
    assert_eq!(code(objects.list("a").await), "objects.unavailable");
    assert_eq!(code(objects.ping().await), "objects.unavailable");
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    let s3 = S3::start().await;
    suite(&open(&s3.settings()).unwrap(), &s3.writer()).await;
}

#[test]
fn an_address_that_is_none_is_refused_in_one_sentence() {
    for url in ["", "http://x/y", "s3://", "file://relative", "s3:///prefix"] {
        let settings = ObjectsSettings { url: url.into(), endpoint: None, region: String::new(), keys: None };
        assert!(open(&settings).err().is_some_and(|error| error.ends_with('.')), "{url}");
    }
}

/// `writer` sees what is above `in`.
async fn suite(objects: &dyn Objects, writer: &dyn ObjectStore) {
    let put = async |path: &str, content: &str| {
        let path = Path::from(format!("in/{path}"));
        writer.put_opts(&path, content.to_owned().into(), Default::default()).await.unwrap();
    };
    objects.ping().await.unwrap();
    assert!(objects.list("a").await.unwrap().is_empty());
    for path in ["a/2.csv", "a/deep/er.csv", "a/1 with space.csv", "b/3.csv", "ab.csv"] {
        put(path, path).await;
    }
    let listed = objects.list("a").await.unwrap();
    let paths: Vec<&str> = listed.iter().map(|object| &*object.path).collect();
    assert_eq!(paths, ["a/1 with space.csv", "a/2.csv", "a/deep/er.csv"]);
    for object in &listed {
        assert_eq!(object.size_bytes, object.path.len() as u64);
        let read = objects.read(object, 0..object.size_bytes).await.unwrap();
        assert_eq!(read, object.path.as_bytes());
    }
    let two = &listed[1];
    assert_eq!(objects.read(two, 2..4).await.unwrap(), b"2.");

    put("a/2.csv", "another content").await;
    assert_eq!(code(objects.read(two, 0..2).await), "objects.changed");
    let anew = objects.list("a").await.unwrap();
    assert!(anew[1].etag != two.etag && anew[0] == listed[0]);
    let gone = flow_domain::objects::Object { path: "a/none.csv".into(), ..two.clone() };
    assert_eq!(code(objects.read(&gone, 0..1).await), "objects.gone");
    objects.ping().await.unwrap();
}
