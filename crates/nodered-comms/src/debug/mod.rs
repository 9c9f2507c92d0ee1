//! Topic `debug`: what debug nodes show, and the warnings and errors of the log.
//!
//! A [`DebugMessage`] is the data of one message. Its parts `format` and `msg` hold one value of JavaScript, which
//! JSON cannot hold as it is and which is cut when it is long; [`DebugMessage::value`] makes a [`DebugValue`] of
//! them, [`DebugValue::encode`] makes them of a value. Observed with Node-RED 0.18.4 and 4.1.15; 0.17 and 5.0 by the
//! description of the protocol.
//!
//! | `format` | `msg` | value |
//! | --- | --- | --- |
//! | `string[n]` | the string, or its first units and `...` | [`String`](DebugValue::String) |
//! | `string[undefined]` | absent | [`Symbol`](DebugValue::Symbol) |
//! | `string[n]` | absent (0.18) | [`Function`](DebugValue::Function) |
//! | `number` | as JavaScript prints it | [`Number`](DebugValue::Number) |
//! | `boolean` | `true`, `false` | [`Bool`](DebugValue::Bool) |
//! | `null`, `undefined` | `(undefined)` | [`Null`](DebugValue::Null), [`Undefined`](DebugValue::Undefined) |
//! | `bigint` | a wrapper, not in a string | [`BigInt`](DebugValue::BigInt) |
//! | `function` | `[function]` | [`Function`](DebugValue::Function) |
//! | `regexp`, `RegExp` (0.18) | `/…/flags` | [`RegExp`](DebugValue::RegExp) |
//! | `buffer[n]` | hexadecimal digits | [`Buffer`](DebugValue::Buffer) |
//! | `array[n]`, `set[n]`, `map`, `Object` | JSON text | [`Array`](DebugValue::Array), [`Set`](DebugValue::Set), [`Map`](DebugValue::Map), [`Object`](DebugValue::Object) |
//! | `Uint8Array[n]` and the like | JSON text | [`TypedArray`](DebugValue::TypedArray) |
//! | `error`; a name with "error" in it | JSON text | [`Error`](DebugValue::Error) |
//! | any other name | the object's string form | [`Class`](DebugValue::Class) |
//!
//! Inside JSON text, wrappers (`{"__enc__":true,"type":…}`, in 0.18 `__encoded__`) stand for what JSON lacks. An
//! object of the user that looks like a wrapper cannot be told from one. A wrapper of an unknown kind, or with members
//! that its kind does not have, stays the [`Object`](DebugValue::Object) that it is.
//!
//! # Where the original and this module part
//!
//! | | original | here |
//! | --- | --- | --- |
//! | typed arrays | the editor shows their JSON text | read as arrays |
//! | a string cut within a pair of surrogates | half of the pair is sent | U+FFFD is sent: half a pair is no Unicode, and many JSON readers refuse the whole frame |
//! | half a pair in what is received | kept | read as U+FFFD; [`DebugMessage`] still holds the text as it came |
//! | `debugMaxLength` below 9 | cuts also the names in wrappers (`"unde..."`), so that nobody can read them | only names of classes are cut |
//! | an object with `"type":"Buffer"` and a list `data` | gets the wrapper's members and so becomes a buffer | sent as the object that it is |
//! | a value too deep to encode | an error value with the message of the engine | an error value with a message of our own |
//!
//! What the wire does not say: the original length of a long string *inside* JSON text (it ends in `...`), the class of
//! a short typed array inside, and whether a string of exactly three units more than the limit was cut (it counts as
//! whole).

mod decode;
mod encode;
mod message;
mod number;
mod reader;
mod show;
mod value;
mod wrapper;

pub use encode::DEBUG_MAX_LENGTH;
pub use message::{DebugLevel, DebugMessage};
pub use number::DebugNumber;
pub use value::{DebugError, DebugValue};
