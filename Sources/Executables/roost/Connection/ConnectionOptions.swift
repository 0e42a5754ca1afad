import ArgumentParser

/// Which server a command speaks with.
struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server's address, for example https://roost.example:7080.", valueName: "url"))
    var server: String?

    @Option(help: "The API token. ROOST_TOKEN does not show in the list of processes.")
    var token: String?

    @Option(help: "A named context of the configuration file.")
    var context: String?

    @Option(
        name: .customLong("ca-file"), help: "A PEM file with the CA to trust for https.",
        completion: .file(extensions: ["pem", "crt"]))
    var caFile: String?

    @Flag(
        name: .customLong("insecure-send-token-in-clear"),
        help: "Allow plain http to another machine: whoever is on the way can read the token.")
    var sendsTokenInClear = false
}
