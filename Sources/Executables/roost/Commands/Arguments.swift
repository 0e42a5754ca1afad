import ArgumentParser

/// The name or id of a resource. An empty one would address the whole list.
struct Reference: ExpressibleByArgument, Hashable {
    let text: String

    init?(argument: String) {
        if argument.isEmpty { return nil }
        text = argument
    }
}

/// A whole number above zero.
struct Positive: Hashable, CustomStringConvertible {
    let value: Int

    init(_ value: Int) {
        self.value = max(value, 1)
    }

    init(argument: String) throws {
        guard let value = Int(argument), value > 0 else {
            throw ValidationError("it must be a whole number above 0")
        }
        self.value = value
    }

    var description: String { String(value) }
}

struct WaitOptions: ParsableArguments {
    @Flag(name: .customLong("no-wait"), help: "Do not wait for the end; print the operation's id.")
    var isImmediate = false

    @Option(
        name: .customLong("timeout"), help: ArgumentHelp("How long to wait for the end.", valueName: "seconds"),
        transform: Positive.init(argument:))
    var seconds = Positive(600)
}
