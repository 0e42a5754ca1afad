import APIClient
import APIContract
import ArgumentParser

struct VMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vm", abstract: "Virtual machines.",
        subcommands: [
            Create.self, List.self, Show.self, Start.self, Stop.self, Pause.self, Resume.self, Reset.self, Reboot.self,
            Migrate.self, Resolve.self, Delete.self, Recover.self, Expunge.self, Label.self, Console.self,
        ])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create a VM, and start it.")

        @Argument(help: "The VM's name.") var name: Reference
        @Option(help: "The image it is made from: a name or an id.") var image: Reference
        @Option(help: "How many virtual CPUs it has.", transform: Positive.init(argument:)) var cpus = Positive(1)
        @Option(help: "Its memory in MiB.", transform: Positive.init(argument:)) var memory = Positive(512)
        @Option(help: "The host to start it on; Roost chooses one otherwise.") var host: Reference?
        @Flag(name: .customLong("no-start"), help: "Create it only.") var isLeftStopped = false
        @Flag(help: "Create nothing; say where it would start, and what speaks against each other host.") var plan =
            false
        @OptionGroup var placement: PlacementOptions
        @OptionGroup var wait: WaitOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if isLeftStopped, host != nil {
                throw ValidationError("--host says where the VM starts, so it makes no sense with --no-start.")
            }
        }

        func run() async throws {
            try await Session.run(connection, output) { session in
                if plan { return try await showPlan(session) }
                let created = try await session.client.createVM(
                    CreateVMRequest(
                        name: name.text, image: image.text, cpus: cpus.value, memory: memory.value,
                        labels: placement.labelMap, placement: placement.rules))
                if isLeftStopped {
                    return try session.printer.done("Created \(name.text).", json: created.text, name: name.text)
                }
                do {
                    try await start(created.value.id, session)
                } catch let failure as APIFailure {
                    throw CommandFailure(failure).adding(hint: leftoverHint)
                } catch let failure as CommandFailure where failure.status != .timedOut {
                    throw failure.adding(hint: leftoverHint)
                }
            }
        }

        private func showPlan(_ session: Session) async throws {
            let request = PlanPlacementRequest(
                cpus: cpus.value, memory: memory.value, labels: placement.labelMap, placement: placement.rules)
            let plan = try await session.client.planPlacement(request)
            let chosen = plan.value.hosts.first { $0.id == plan.value.host }
            try session.printer.plan(plan, chosen: chosen)
            guard chosen != nil else {
                throw CommandFailure(.conflict, "No host can take \(name.text) now.", hint: "see why of each above")
            }
        }

        private var leftoverHint: String {
            "\(name.text) is created: 'roost vm start \(name.text)' starts it, "
                + "'roost vm delete \(name.text) --expunge' removes it"
        }

        private func start(_ vm: String, _ session: Session) async throws {
            let operation = try await session.client.startVM(vm, StartVMRequest(host: host?.text))
            let waiting = OperationWait(session: session, vm: name.text, seconds: wait.seconds.value)
            if wait.isImmediate { return try waiting.accepted(operation) }
            let ended = try await waiting.end(of: operation)
            try OperationWait.check(ended.value, of: name.text)
            let names = await session.names([.hosts])
            try session.printer.done(
                "Created \(name.text) and started it on \(names[ended.value.host]).",
                json: try await session.client.vm(vm).text, name: name.text)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the VMs that are neither destroyed nor being expunged.")

        @Option(help: "Only those in this state.") var state: String?
        @Flag(help: "Also those that are destroyed or being expunged.") var all = false
        @Option(help: "Only those placed on this host.") var host: Reference?
        @OptionGroup var filter: LabelFilter
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .images])
                let vms = try await session.client.vms(
                    state: state, host: host?.text, label: filter.query)
                try session.printer.list(
                    vms.filtered { all || state != nil || !$0.isDestroyed },
                    columns: VMResource.columns(await names, Age(serverTime: vms.serverTime)), name: \.name)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show all that is known of a VM.")

        @Argument(help: "The VM's name or id.") var vm: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .images])
                let vm = try await session.client.vm(vm.text)
                let book = await names
                try session.printer.one(vm, name: vm.value.name) { $0.facts(book) }
            }
        }
    }
}
