//! Commands that begin a task.

use super::task_status::image_ids;
use super::{ConfigDrive, ImageId, Method, ParamsError, SendError, TaskId};
use crate::Dialect;
use crate::wire::{Json, JsonKind, JsonRef, Object, ObjectWriter, slots};

/// A command that begins a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskCommand {
    /// Names the task: under the document's dialect a string. Its JSON text has at most 4096 bytes as it is sent, in
    /// ASCII.
    pub task_id: TaskId,
    /// What is to be done.
    pub work: Work,
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Erase all attached block devices securely.
    DiskErase,
    /// Bring versions and settings of firmware and BIOS up to date.
    FirmwareSecure,
    /// Check the chassis against a specification (processors, disks and so on), which is open JSON.
    QualityControl {
        /// The specification.
        chassis: Json,
    },
    /// Put images on local storage, the most important first; perhaps not all of them fit.
    CacheImages {
        /// The images, in order of priority.
        images: Vec<ImageId>,
    },
    /// Make an image ready to be run.
    PrepareImage {
        /// The image.
        image: ImageId,
    },
    /// Run an image: write the config drive, set up the boot loader, then kexec or reboot.
    RunImage {
        /// The image.
        image: ImageId,
        /// Settings for the config drive. The document demands them, the original has none.
        config_drive: Option<ConfigDrive>,
    },
}

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "one for each command of the document")]
pub enum TaskKind {
    /// [`Work::DiskErase`]
    DiskErase,
    /// [`Work::FirmwareSecure`]
    FirmwareSecure,
    /// [`Work::QualityControl`]
    QualityControl,
    /// [`Work::CacheImages`]
    CacheImages,
    /// [`Work::PrepareImage`]
    PrepareImage,
    /// [`Work::RunImage`]
    RunImage,
}

slots! {
    struct Slots {
        task_id: "task_id",
        image_id: "image_id" | "image" | "image_uuid",
        image_ids: "image_ids" | "images" | "image_uuids",
        config_drive: "config_drive" | "config_drive_settings" | "configdrive" | "configDrive",
        chassis: "chassis" | "chassis_specification" | "specification" | "specifications" | "spec" | "specs",
    }
}

impl TaskCommand {
    /// Reads the parameters of a task command; presence is asked in the original's order.
    pub(super) fn decode(
        method: &Method,
        name: &str,
        params: JsonRef<'_>,
        dialect: Dialect,
    ) -> Result<Self, ParamsError> {
        let slots: Slots<'_> = params.decode().map_err(|_| ParamsError::wrong("params", "an object"))?;
        let missing = |parameter| ParamsError::missing(parameter, name);
        let task_id = slots.task_id.ok_or_else(|| missing("task_id"))?;
        let work = match method {
            Method::FirmwareSecure => Work::FirmwareSecure,
            Method::QualityControl => {
                Work::QualityControl { chassis: slots.chassis.ok_or_else(|| missing("chassis"))?.to_json() }
            }
            Method::CacheImages => {
                let list = slots.image_ids.ok_or_else(|| missing("image_ids"))?;
                let not_a_list = ParamsError::NotAList { parameter: "image_ids" };
                let images = image_ids(list).ok_or(not_a_list)?;
                images.iter().try_for_each(|image| check_image("image_ids", image, dialect))?;
                Work::CacheImages { images }
            }
            Method::PrepareImage | Method::RunImage => {
                let image = ImageId::from_json(slots.image_id.ok_or_else(|| missing("image_id"))?);
                check_image("image_id", &image, dialect)?;
                if *method == Method::PrepareImage {
                    if dialect == Dialect::Original && task_id.kind() != JsonKind::String {
                        return Err(ParamsError::not_text(task_id));
                    }
                    Work::PrepareImage { image }
                } else {
                    Work::RunImage { image, config_drive: config_drive(slots.config_drive, name, dialect)? }
                }
            }
            _ => Work::DiskErase,
        };
        if dialect == Dialect::Document && task_id.as_str().is_none() {
            return Err(ParamsError::wrong("task_id", "a string"));
        }
        if sent_length(task_id) > TASK_ID_LIMIT {
            return Err(ParamsError::wrong("task_id", "of at most 4096 bytes"));
        }
        Ok(Self { task_id: TaskId::from_json(task_id), work })
    }

    pub(super) fn params(&self, dialect: Dialect) -> Result<Object, SendError> {
        self.check(dialect)?;
        let mut params = ObjectWriter::new();
        params.json("task_id", self.task_id.json().as_ref());
        match &self.work {
            Work::DiskErase | Work::FirmwareSecure => {}
            Work::QualityControl { chassis } => {
                params.json("chassis", chassis.as_ref());
            }
            Work::CacheImages { images } => {
                params.list("image_ids", images.iter().map(|image| image.json().as_ref()));
            }
            Work::PrepareImage { image } => {
                params.json("image_id", image.json().as_ref());
            }
            Work::RunImage { image, config_drive } => {
                params.json("image_id", image.json().as_ref());
                if let Some(settings) = config_drive {
                    params.json("config_drive", settings.settings().as_ref());
                }
            }
        }
        params.finish().map_err(|_| SendError::wrong("params", "less deep"))
    }

    fn check(&self, dialect: Dialect) -> Result<(), SendError> {
        if sent_length(self.task_id.json().as_ref()) > TASK_ID_LIMIT {
            return Err(SendError::wrong("task_id", "of at most 4096 bytes"));
        }
        if dialect == Dialect::Original {
            if matches!(self.work, Work::PrepareImage { .. }) && self.task_id.as_str().is_none() {
                return Err(SendError::wrong("task_id", "a string"));
            }
            return Ok(());
        }
        if self.task_id.as_str().is_none() {
            return Err(SendError::wrong("task_id", "a string"));
        }
        let images = match &self.work {
            Work::CacheImages { images } => images.as_slice(),
            Work::PrepareImage { image } | Work::RunImage { image, .. } => std::slice::from_ref(image),
            _ => &[],
        };
        if !images.iter().all(ImageId::is_uuid) {
            return Err(SendError::wrong("image_id", "a UUID"));
        }
        if matches!(self.work, Work::RunImage { config_drive: None, .. }) {
            return Err(SendError::wrong("config_drive", "there"));
        }
        Ok(())
    }
}

impl Work {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::DiskErase => TaskKind::DiskErase,
            Self::FirmwareSecure => TaskKind::FirmwareSecure,
            Self::QualityControl { .. } => TaskKind::QualityControl,
            Self::CacheImages { .. } => TaskKind::CacheImages,
            Self::PrepareImage { .. } => TaskKind::PrepareImage,
            Self::RunImage { .. } => TaskKind::RunImage,
        }
    }

    /// Returns the method that begins it.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.kind() {
            TaskKind::DiskErase => Method::DiskErase,
            TaskKind::FirmwareSecure => Method::FirmwareSecure,
            TaskKind::QualityControl => Method::QualityControl,
            TaskKind::CacheImages => Method::CacheImages,
            TaskKind::PrepareImage => Method::PrepareImage,
            TaskKind::RunImage => Method::RunImage,
        }
    }
}

/// An agent keeps ids of tasks and sends them back: what comes is short, as JSON text of ASCII.
const TASK_ID_LIMIT: usize = 4096;

/// Counts the bytes that a value takes on the wire, where all but ASCII is escaped.
fn sent_length(json: JsonRef<'_>) -> usize {
    const ESCAPE: usize = r"\u0000".len();
    json.text().chars().map(|char| if char.is_ascii() { 1 } else { ESCAPE * char.len_utf16() }).sum()
}

fn check_image(parameter: &'static str, image: &ImageId, dialect: Dialect) -> Result<(), ParamsError> {
    match dialect {
        Dialect::Document if !image.is_uuid() => Err(ParamsError::wrong(
            parameter,
            if parameter == "image_ids" { "a list of UUIDs" } else { "a UUID" },
        )),
        Dialect::Document | Dialect::Original => Ok(()),
    }
}

fn config_drive(
    value: Option<JsonRef<'_>>,
    name: &str,
    dialect: Dialect,
) -> Result<Option<ConfigDrive>, ParamsError> {
    let settings = value.and_then(|value| Object::try_from(value.to_json()).ok());
    match (value, settings, dialect) {
        (_, Some(settings), _) => Ok(Some(ConfigDrive::new(settings))),
        (_, None, Dialect::Original) => Ok(None),
        (None, None, Dialect::Document) => Err(ParamsError::missing("config_drive", name)),
        (Some(_), None, Dialect::Document) => Err(ParamsError::wrong("config_drive", "an object")),
    }
}
