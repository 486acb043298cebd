use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, command, dir] = args.as_slice()
        && command == "child"
    {
        std::process::exit(flow_manager::driven::process::child_main(Path::new(dir)));
    }
}
