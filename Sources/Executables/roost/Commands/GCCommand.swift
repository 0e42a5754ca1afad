import APIContract
import ArgumentParser

struct GCCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "GC jobs: leftover work that waits for a host.",
        subcommands: [List.self, Show.self, Explain.self, Run.self, Delete.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the jobs that have not ended, or those in a state.")

        @Option(help: "Only those of this VM.") var vm: Reference?
        @Option(help: "Only those on this host.") var host: Reference?
        @Option(help: "Only those in this state: waiting, running, needs-attention, done or cancelled.")
        var state: String?
        @Option(help: "Only those of this kind.") var kind: String?
        @Flag(help: "Also those that have ended.") var all = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .vms])
                let jobs = try await session.client.gcJobs(
                    vm: vm?.text, host: host?.text, state: state, kind: kind)
                try session.printer.list(
                    jobs.filtered { all || state != nil || !$0.isEnded },
                    columns: GCJobResource.columns(await names, Age(serverTime: jobs.serverTime)), name: \.id)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show all that is known of a job.")

        @Argument(help: "The job's id.") var job: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .vms])
                let job = try await session.client.gcJob(job.text)
                let book = await names
                try session.printer.one(job, name: job.value.id) { $0.facts(book) }
            }
        }
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say why a job waits, what wakes it, and what would cancel it.")

        @Argument(help: "The job's id.") var job: Reference
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                async let names = session.names([.hosts, .vms])
                let explanation = try await session.client.explainGCJob(job.text)
                let book = await names
                guard session.printer.isForPeople else {
                    return try session.printer.done("", json: explanation.text, name: explanation.value.job.id)
                }
                try session.printer.output.write(explanation.value.text(book))
            }
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try a job now, also one that needs attention.")

        @Argument(help: "The job's id.") var job: Reference
        @Flag(help: "Change nothing; say what would happen.") var dryRun = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let job = try await session.client.triggerGCJob(job.text, isDryRun: dryRun)
                if dryRun {
                    return try session.printer.done(
                        job.value.rehearsal("tried now"), json: job.text, name: job.value.id)
                }
                try session.printer.done(
                    "GC job \(job.value.id) is tried now; 'roost gc show \(job.value.id)' shows what comes of it.",
                    json: job.text, name: job.value.id)
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Cancel a job. What it was to end may run on; the VM is unknown until its host answers.")

        @Argument(help: "The job's id.") var job: Reference
        @Flag(help: "Change nothing; say what would happen.") var dryRun = false
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.run(connection, output) { session in
                let answer = try await session.client.deleteGCJob(job.text, isDryRun: dryRun)
                if dryRun, let would = answer.value {
                    return try session.printer.done(would.rehearsal(would.state), json: answer.text, name: would.id)
                }
                try session.printer.done("Cancelled GC job \(job.text).", json: answer.text, name: job.text)
            }
        }
    }
}
