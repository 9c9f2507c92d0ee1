//! The typed commands: parameters and results as they are read and written.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use teeth_proto::Dialect::{self, Document, Original};
use teeth_proto::command::{
    Command, ConfigDrive, ConfigDriveError, ErrorValue, Handshake, ImageId, LogEntry, Method, SendError,
    Status, TaskCommand, TaskId, TaskKind, TaskState, TaskStatus, Work,
};
use teeth_proto::wire::{Json, Object};

const IMAGE: &str = "6b83f0c2-5598-4a89-b581-85f9114221ff";

#[test]
fn names_follow_the_dialect_and_both_spellings_are_known() {
    for (document, original) in [
        ("standbye.cache_images", "standby.cache_images"),
        ("standbye.prepare_image", "standby.prepare_image"),
        ("standbye.run_image", "standby.run_image"),
        ("handshake", "handshake"),
        ("decom.qc", "decom.qc"),
        ("frobnicate", "frobnicate"),
    ] {
        assert_eq!(Method::from(document), Method::from(original));
        assert_eq!(Method::from(document).name(Document), document);
        assert_eq!(Method::from(document).name(Original), original);
    }
    assert_ne!(Method::from("STATUS"), Method::Status);
}

#[test]
fn what_is_missing_is_said_in_the_originals_words_and_order() {
    let error = |name, params| read_error(name, params, Original);
    assert_eq!(
        error("standby.prepare_image", "{}"),
        "missing parameter \"task_id\" in \"standby.prepare_image\" command"
    );
    assert_eq!(
        error("standby.run_image", "{\"task_id\":null}"),
        "missing parameter \"image_id\" in \"standby.run_image\" command"
    );
    assert_eq!(
        error("standby.cache_images", "{\"task_id\":1,\"image_ids\":\"a\"}"),
        "\"image_ids\" must be a list"
    );
}

#[test]
fn a_task_id_that_is_no_string_is_refused_in_the_words_of_the_originals_interpreter() {
    for (id, found) in [
        ("7", "int"),
        ("9223372036854775808", "long"),
        ("1.0", "float"),
        ("1e3", "float"),
        ("true", "bool"),
        ("null", "NoneType"),
        ("[]", "list"),
        ("{}", "dict"),
    ] {
        assert_eq!(
            read_error("standby.prepare_image", &format!("{{\"task_id\":{id},\"image_id\":0}}"), Original),
            format!("cannot concatenate 'str' and '{found}' objects")
        );
        assert_eq!(
            read_error("decom.disk_erase", &format!("{{\"task_id\":{id}}}"), Document),
            "\"task_id\" must be a string"
        );
        // The other commands of the original take anything.
        let params = format!("{{\"task_id\":{id},\"image_id\":{id}}}");
        assert!(read("standby.run_image", &params, Original).is_ok());
    }
}

#[test]
fn images_are_uuids_under_the_document_and_anything_under_the_original() {
    let params = "{\"task_id\":\"t\",\"image_id\":{\"any\":\"thing\"}}";
    assert_eq!(read_error("standby.prepare_image", params, Document), "\"image_id\" must be a UUID");
    assert!(read("standby.prepare_image", params, Original).is_ok());
    let params = format!("{{\"task_id\":\"t\",\"image_ids\":[\"{IMAGE}\",\"b\"]}}");
    assert_eq!(
        read_error("standbye.cache_images", &params, Document),
        "\"image_ids\" must be a list of UUIDs"
    );
    for good in [IMAGE.to_owned(), IMAGE.to_uppercase()] {
        assert!(ImageId::from(&*good).is_uuid());
    }
    for bad in [&IMAGE[1..], "{6b83f0c2-5598-4a89-b581-85f9114221ff}", &IMAGE.replace('-', ""), ""] {
        assert!(!ImageId::from(bad).is_uuid(), "{bad}");
    }
}

#[test]
fn running_an_image_needs_settings_under_the_document() {
    let bare = format!("{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\"}}");
    assert_eq!(
        read_error("standbye.run_image", &bare, Document),
        "missing parameter \"config_drive\" in \"standbye.run_image\" command"
    );
    let odd = format!("{{\"task_id\":\"t\",\"image_id\":\"{IMAGE}\",\"config_drive\":7}}");
    assert_eq!(read_error("standbye.run_image", &odd, Document), "\"config_drive\" must be an object");
    let Ok(Command::Task(task)) = read("standby.run_image", &bare, Original) else { panic!("a task") };
    assert!(matches!(task.work, Work::RunImage { config_drive: None, .. }));
}

#[test]
fn names_that_the_document_leaves_open_are_read_in_several_spellings() {
    for name in ["config_drive", "config_drive_settings", "configdrive", "configDrive"] {
        let params = format!("{{\"task_id\":\"t\",\"image_uuid\":\"{IMAGE}\",\"{name}\":{{\"a\":1}}}}");
        let Ok(Command::Task(task)) = read("standbye.run_image", &params, Document) else { panic!("{name}") };
        let Work::RunImage { image, config_drive: Some(drive) } = task.work else { panic!("{name}") };
        assert_eq!((image, drive.settings().text()), (ImageId::from(IMAGE), "{\"a\":1}"));
    }
    for name in ["chassis", "chassis_specification", "specification", "specifications", "spec", "specs"] {
        let params = format!("{{\"task_id\":\"t\",\"{name}\":[1]}}");
        let Ok(Command::Task(task)) = read("decom.qc", &params, Document) else { panic!("{name}") };
        assert!(matches!(&task.work, Work::QualityControl { chassis } if chassis.text() == "[1]"));
    }
    for name in ["image_ids", "images", "image_uuids"] {
        let params = format!("{{\"task_id\":\"t\",\"{name}\":[]}}");
        let Ok(Command::Task(task)) = read("standbye.cache_images", &params, Document) else {
            panic!("{name}")
        };
        assert_eq!(task.work.kind(), TaskKind::CacheImages);
    }
}

#[test]
fn every_command_reads_back_as_it_was_sent() {
    let drive = ConfigDrive::new(Object::parse("{\"user_data\": \"x\"}").unwrap());
    let task = |work| Command::Task(TaskCommand { task_id: "t".into(), work });
    let image = || ImageId::from(IMAGE);
    let mut running = TaskStatus::new("t".into(), TaskState::Running);
    (running.percent, running.eta) = (Some(12.5), Some(3.0));
    let mut failed = TaskStatus::new("t".into(), TaskState::Error);
    (failed.msg, failed.image_ids) = (Some("é".into()), Some(vec![image()]));
    let commands = [
        Command::Handshake(Handshake { id: "a:b:c:d".into(), version: "0.1-dev".into() }),
        Command::Ping(Object::parse("{\"n\": 1}").unwrap()),
        Command::Log(LogEntry {
            message: "disk".into(),
            time: 1.5,
            fields: vec![("size".into(), Json::parse("[1,2]").unwrap())],
        }),
        Command::Status,
        Command::TaskStatus(running),
        Command::TaskStatus(failed),
        Command::TaskStatus(TaskStatus::new("t".into(), TaskState::from("paused"))),
        task(Work::DiskErase),
        task(Work::FirmwareSecure),
        task(Work::QualityControl { chassis: Json::parse("{\"cpus\": 2}").unwrap() }),
        task(Work::CacheImages { images: vec![image(), image()] }),
        task(Work::PrepareImage { image: image() }),
        task(Work::RunImage { image: image(), config_drive: Some(drive) }),
        Command::Other { method: Method::from("x.y"), params: Object::new() },
    ];
    for dialect in [Document, Original] {
        for command in &commands {
            let params = command.params(dialect).unwrap();
            let method = command.method();
            let read = Command::decode(method.name(dialect), params.as_ref(), dialect).unwrap();
            assert_eq!(read, *command, "{}", params.text());
        }
    }
}

#[test]
fn parameters_have_the_originals_spelling() {
    let handshake = Command::Handshake(Handshake { id: "a:b:c:d".into(), version: "0.1-dev".into() });
    assert_eq!(handshake.params(Original).unwrap().text(), "{\"version\": \"0.1-dev\", \"id\": \"a:b:c:d\"}");
    let entry = LogEntry {
        message: "café".into(),
        time: 1_795_228_200.232_542,
        fields: vec![
            ("time".into(), Json::null()),
            ("nested".into(), Json::parse("{\"a\": [1, null]}").unwrap()),
        ],
    };
    assert_eq!(
        Command::Log(entry).params(Original).unwrap().text(),
        "{\"message\": \"caf\\u00e9\", \"time\": 1795228200.232542, \"nested\": {\"a\": [1, null]}}"
    );
}

#[test]
fn what_a_dialect_does_not_allow_is_not_sent() {
    let task = |task_id: TaskId, work| Command::Task(TaskCommand { task_id, work });
    let wrong = |parameter, wanted| Err(SendError::Parameter { parameter, wanted });
    let bare = Work::RunImage { image: IMAGE.into(), config_drive: None };
    assert_eq!(task("t".into(), bare.clone()).params(Document), wrong("config_drive", "there"));
    assert!(task("t".into(), bare).params(Original).is_ok());
    let odd = Work::PrepareImage { image: "img-1".into() };
    assert_eq!(task("t".into(), odd.clone()).params(Document), wrong("image_id", "a UUID"));
    assert!(task("t".into(), odd.clone()).params(Original).is_ok());
    let number = TaskId::from_json(Json::parse("7").unwrap().as_ref());
    assert_eq!(task(number.clone(), odd).params(Original), wrong("task_id", "a string"));
    assert_eq!(task(number, Work::DiskErase).params(Document), wrong("task_id", "a string"));
    let raw = Command::Other { method: Method::RunImage, params: Object::new() };
    assert_eq!(raw.params(Document), wrong("method", "none of the protocol's own"));
    let long = TaskId::from(&*"x".repeat(4095));
    assert_eq!(task(long, Work::DiskErase).params(Document), wrong("task_id", "of at most 4096 bytes"));
    let mut status = TaskStatus::new("t".into(), TaskState::Running);
    assert_eq!(
        Command::TaskStatus(status.clone()).params(Document),
        wrong("percent", "a number from 0 to 100")
    );
    (status.percent, status.eta) = (Some(100.0), Some(-1.0));
    assert_eq!(
        Command::TaskStatus(status.clone()).params(Document),
        wrong("eta", "a finite number of at least 0")
    );
    status.state = TaskState::Error;
    status.eta = None;
    assert_eq!(Command::TaskStatus(status).params(Document), wrong("msg", "there"));
    let entry = LogEntry::new("x", f64::NAN);
    assert_eq!(Command::Log(entry).params(Document), wrong("time", "a finite number"));
}

#[test]
fn values_leave_room_for_the_message_around_them() {
    let deep = |levels: usize| Json::parse(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    assert!(deep(979).is_err());
    let fields = |levels| vec![("a".to_owned(), deep(levels).unwrap())];
    let log = |levels| Command::Log(LogEntry { fields: fields(levels), ..LogEntry::new("x", 1.0) });
    assert!(log(977).params(Document).is_ok());
    assert_eq!(
        log(978).params(Document),
        Err(SendError::Parameter { parameter: "fields", wanted: "less deep" })
    );
    let status = |levels| Status { uptime: Some(1.0), fields: fields(levels), ..Status::default() };
    assert!(status(977).result().get("a").is_some());
    assert_eq!(status(978).result().text(), "{\"uptime\": 1.0}");
}

#[test]
fn a_task_id_may_have_4096_bytes() {
    let read =
        |length| read("decom.disk_erase", &format!("{{\"task_id\":\"{}\"}}", "x".repeat(length)), Document);
    assert!(read(4094).is_ok());
    assert_eq!(read(4095).unwrap_err(), "\"task_id\" must be of at most 4096 bytes");
}

#[test]
fn the_bytes_of_a_task_id_are_counted_as_they_are_sent() {
    for dialect in [Document, Original] {
        let task = |length| {
            let task_id = TaskId::from(&*"é".repeat(length));
            Command::Task(TaskCommand { task_id, work: Work::DiskErase })
        };
        let longest = task(682);
        let params = longest.params(dialect).unwrap();
        assert_eq!(Command::decode("decom.disk_erase", params.as_ref(), dialect), Ok(longest));
        let wanted = "of at most 4096 bytes";
        assert_eq!(task(683).params(dialect), Err(SendError::Parameter { parameter: "task_id", wanted }));
        let raw = format!("{{\"task_id\":\"{}\"}}", "é".repeat(683));
        assert_eq!(
            read("decom.disk_erase", &raw, dialect).unwrap_err(),
            "\"task_id\" must be of at most 4096 bytes"
        );
    }
}

#[test]
fn errors_are_read_as_objects_and_as_strings_and_from_anything_else() {
    let msg = |text: &str| ErrorValue::from_json(Json::parse(text).unwrap().as_ref()).msg().into_owned();
    assert_eq!(msg("{\"msg\":\"m\",\"code\":7}"), "m");
    assert_eq!(msg("\"text\""), "text");
    for odd in ["null", "{}", "[\"m\"]", "7", "{\"msg\":1}", "\"\""] {
        assert_eq!(msg(odd), "");
    }
    let error = ErrorValue::from_json(Json::parse("{\"msg\":\"m\",\"code\":7}").unwrap().as_ref());
    assert_eq!(error.json().text(), "{\"msg\":\"m\",\"code\":7}");
}

#[test]
fn a_status_is_read_whatever_is_in_it_and_written_as_the_original_writes_it() {
    let json = |text: &str| Json::parse(text).unwrap();
    let text = "{\"uptime\": 10.0, \"version\": \"0.1-dev\", \"mode\": \"STANDBY\"}";
    let status = Status::decode(json(text).as_ref()).unwrap();
    assert_eq!(status.uptime, Some(10.0));
    assert_eq!(status.result().text(), text);
    let odd = Status::decode(json("{\"uptime\":\"long\",\"mode\":null,\"disks\":2}").as_ref()).unwrap();
    assert_eq!((odd.uptime, odd.mode.as_deref(), odd.fields.len()), (None, None, 3));
    assert_eq!(Status::decode(json("null").as_ref()), None);
}

#[test]
fn a_task_status_is_read_whatever_it_lacks_beside_task_and_state() {
    let read = |params: &str| read("task_status", params, Document);
    let Ok(Command::TaskStatus(status)) = read("{\"task_id\":7,\"state\":\"running\",\"percent\":\"x\"}")
    else {
        panic!("a status")
    };
    assert_eq!((status.percent, status.eta, status.state), (None, None, TaskState::Running));
    assert_eq!(
        read("{\"task_id\":\"t\"}").unwrap_err(),
        "missing parameter \"state\" in \"task_status\" command"
    );
    assert_eq!(read("{\"task_id\":\"t\",\"state\":1}").unwrap_err(), "\"state\" must be a string");
}

#[test]
fn task_ids_are_equal_however_they_are_escaped() {
    let id = |text: &str| TaskId::from_json(Json::parse(text).unwrap().as_ref());
    assert_eq!(id("\"\\u0061b\""), TaskId::from("ab"));
    assert_ne!(id("7"), TaskId::from("7"));
    assert_eq!((id("7").to_string(), id("\"a\"").to_string()), ("7".to_owned(), "a".to_owned()));
}

#[test]
fn a_config_drive_has_the_files_of_its_settings() {
    let files = |text: &str| {
        let files = ConfigDrive::new(Object::parse(text).unwrap()).files()?;
        Ok(files.into_iter().map(|file| (file.path, file.contents)).collect::<Vec<_>>())
    };
    let own = |pairs: &[(&str, &str)]| {
        Ok(pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
    };
    assert_eq!(
        files(
            "{\"metadata\":{\"uuid\":\"u\"},\"user_data\":\"#!/bin/sh\\n\",\"network\":{\"links\":[]},\
             \"files\":{\"openstack/content/0000\":\"key\"},\"ignored\":1}"
        ),
        own(&[
            ("openstack/content/0000", "key"),
            ("openstack/latest/meta_data.json", "{\"uuid\":\"u\"}"),
            ("openstack/latest/network_data.json", "{\"links\":[]}"),
            ("openstack/latest/user_data", "#!/bin/sh\n"),
        ])
    );
    assert_eq!(
        files("{\"hostname\":\"h\"}"),
        own(&[("openstack/latest/meta_data.json", "{\"hostname\": \"h\"}")])
    );
    for path in ["../x", "/x", "a//b", "a/./b", "", "a\\b", "c:x", "a/\\u0000", &"x/".repeat(600)] {
        let text =
            format!("{{\"files\":{{\"{}\":\"\"}}}}", path.replace('\\', "\\\\").replace("\\\\u", "\\u"));
        assert_eq!(files(&text), Err(ConfigDriveError::Path), "{path}");
    }
    assert_eq!(files("{\"files\":{\"a\":\"\",\"a/b\":\"\"}}"), Err(ConfigDriveError::Conflict));
    assert_eq!(files("{\"files\":{\"openstack\":\"\"}}"), Err(ConfigDriveError::Conflict));
    assert_eq!(files("{\"files\":[]}"), Err(ConfigDriveError::Files));
}

#[test]
fn settings_of_a_config_drive_never_show() {
    let settings = format!("{{\"user_data\":\"{}\"}}", testkit::secrets::MARK);
    let drive = ConfigDrive::new(Object::parse(&settings).unwrap());
    testkit::secrets::assert_debug_hides(&drive);
    testkit::secrets::assert_debug_hides(&drive.files().unwrap());
    let work = Work::RunImage { image: IMAGE.into(), config_drive: Some(drive) };
    let command = Command::Task(TaskCommand { task_id: "t".into(), work });
    testkit::secrets::assert_debug_hides(&command);
}

fn read(name: &str, params: &str, dialect: Dialect) -> Result<Command, String> {
    let params = Json::parse(params).unwrap();
    Command::decode(name, params.as_ref(), dialect).map_err(|error| error.to_string())
}

fn read_error(name: &str, params: &str, dialect: Dialect) -> String {
    read(name, params, dialect).expect_err("a refusal")
}
