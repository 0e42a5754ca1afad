import ArgumentParser

extension HostCommand {
    struct Label: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set and remove a host's labels. VMs that run there stay.")

        @Argument(help: "The host's name or id.") var host: Reference
        @OptionGroup var labels: LabelChanges
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let host = try await session.client.labelHost(host.text, labels.map)
                try session.printer.done(
                    "\(host.value.name): \(LabelText.line(host.value.labels, empty: "no labels")).", json: host.text,
                    name: host.value.name)
            }
        }
    }
}

extension VMCommand {
    struct Label: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set and remove a VM's labels. It stays where it is; labels count when a VM starts.")

        @Argument(help: "The VM's name or id.") var vm: Reference
        @OptionGroup var labels: LabelChanges
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let vm = try await session.client.labelVM(vm.text, labels.map)
                try session.printer.done(
                    "\(vm.value.name): \(LabelText.line(vm.value.labels, empty: "no labels")).", json: vm.text,
                    name: vm.value.name)
            }
        }
    }
}
