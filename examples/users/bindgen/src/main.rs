//! Makes a Node.js module of a WebAssembly library: `bindgen LIBRARY FOLDER`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(library), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("bindgen LIBRARY FOLDER".into());
    };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(library).out_name("user").typescript(false).nodejs(true)?.generate(folder)?;
    Ok(())
}
