import ArgumentParser

/// The form of what a command prints.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case table
    /// A table with further columns.
    case wide
    /// What the API answered, as it answered.
    case json
    case yaml
    /// Names only, or ids where a thing has no name.
    case name
}

struct OutputOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "The form of the output: table, wide, json, yaml or name.")
    var format: OutputFormat = .table
}
