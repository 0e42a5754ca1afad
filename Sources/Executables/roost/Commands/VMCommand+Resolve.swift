import APIClient
import APIContract
import ArgumentParser

extension VMCommand {
    struct Resolve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Settle a conflict: a domain of the VM runs where none should be.",
            discussion: """
                'roost vm show' tells where it runs. A GC job that names host and epoch does what is to be done there.
                """)

        @Argument(help: "The VM's name or id.") var vm: Reference
        @Option(help: "The domain that this host shows is the VM's from now on.") var adopt: Reference?
        @Option(help: "The domain that this host shows is to be ended.") var stop: Reference?
        @Flag(help: "The VM, which was moved away behind Roost's back, runs nowhere.") var gone = false
        @Option(help: "How you know that it runs nowhere; kept in the audit log.") var proof: String?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard [adopt != nil, stop != nil, gone].filter({ $0 }).count == 1 else {
                throw ValidationError("Give exactly one of --adopt HOST, --stop HOST and --gone.")
            }
            if gone, proof?.allSatisfy(\.isWhitespace) ?? true {
                throw ValidationError("--proof is missing: say how you know that it runs nowhere.")
            }
        }

        func run() async throws {
            try await Session.run(connection, output) { session in
                let answer = try await session.client.resolveVM(
                    vm.text,
                    ResolveVMRequest(adopt: adopt?.text, stop: stop?.text, gone: gone ? true : nil, proof: proof))
                let text =
                    if let adopt {
                        "\(vm.text) is taken up on \(adopt.text) by a GC job: roost gc list --vm \(vm.text)."
                    } else if let stop {
                        "The domain of \(vm.text) on \(stop.text) is ended by a GC job: roost gc list --vm \(vm.text)."
                    } else {
                        "\(vm.text) counts as stopped."
                    }
                try session.printer.done(text, json: answer.text, name: answer.value.id)
            }
        }
    }
}
