import APIClient
import APIContract
import ArgumentParser

extension HostCommand {
    struct Orphans: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What lies on a host and belongs to no record.",
            discussion: """
                Domains, root disks and console logs that no VM's record owns. Nothing is done to them until you remove \
                or adopt them.
                """,
            subcommands: [List.self, Remove.self, Adopt.self], defaultSubcommand: List.self)

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "List what lies on the host and belongs to no record.")

            @Argument(help: "The host's name or id.") var host: Reference
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await Session.run(connection, output) { session in
                    let orphans = try await session.client.orphans(on: host.text)
                    let listing = Listing(
                        items: orphans.value.items, documents: [], wholeText: orphans.text,
                        serverTime: orphans.serverTime)
                    try session.printer.list(listing, columns: OrphanResource.columns, name: \.vm)
                }
            }
        }

        struct Remove: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Remove a VM's orphans from a host: its domain first, its files once there is none.",
                discussion: "A disk that is removed is gone for good.")

            @Argument(help: "The host's name or id.") var host: Reference
            @Argument(help: "The VM's id.") var vm: Reference
            @Option(help: "The orphan's epoch, as it is listed.") var epoch: Int64
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await Session.run(connection, output) { session in
                    let job = try await session.client.removeOrphan(vm.text, on: host.text, epoch: epoch)
                    try session.printer.done(
                        "GC job \(job.value.id) (\(job.value.kind)) removes it; 'roost gc show \(job.value.id)' shows "
                            + "what comes of it.",
                        json: job.text, name: job.value.id)
                }
            }
        }

        struct Adopt: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Make a VM of an orphan: running where its domain runs, or stopped with its disk.")

            @Argument(help: "The host's name or id.") var host: Reference
            @Argument(help: "The VM's id, which it keeps.") var vm: Reference
            @Option(help: "The VM's name.") var name: Reference
            @Option(help: "The image that it was made from: a name or an id.") var image: Reference
            @Option(help: "How many virtual CPUs it has, for a disk.", transform: Positive.init(argument:))
            var cpus: Positive?
            @Option(help: "Its memory in MiB, for a disk.", transform: Positive.init(argument:)) var memory: Positive?
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            func run() async throws {
                try await Session.run(connection, output) { session in
                    let request = AdoptOrphanRequest(
                        name: name.text, image: image.text, cpus: cpus?.value, memory: memory?.value)
                    let vm = try await session.client.adoptOrphan(vm.text, on: host.text, request)
                    try session.printer.done(
                        "Adopted \(vm.value.name): it is \(vm.value.state).", json: vm.text, name: vm.value.name)
                }
            }
        }
    }
}
