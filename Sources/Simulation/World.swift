package import ControlPlane
package import Domain
import HostAgent
import Logging
package import SQLStore
import Synchronization

/// The machines by name.
final class MachineTable: Sendable {
    let all: [Machine]
    private let traps = Mutex<[@Sendable (Machine) -> Void]>([])

    init(_ all: [Machine]) { self.all = all }

    /// Lets `fault` strike the next machine that is in the middle of something that it cannot take back.
    func lay(_ fault: @escaping @Sendable (Machine) -> Void) { traps.withLock { $0.append(fault) } }

    /// The machine is in the middle of something.
    func spring(at machine: Machine) {
        guard let fault = traps.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return }
        machine.scheduler.after(machine.scheduler.milliseconds(0...80)) { fault(machine) }
    }

    func machine(_ name: String) -> Machine? { all.first { $0.name == name } }
}

/// Everything that is simulated: machines with their agents, one server on a database, and the people who use it.
package final class World: Sendable {
    package struct Size: Sendable {
        package var hosts = 3
        package var vms = 6
        /// How many people ask for things at once.
        package var operators = 3

        package init() {}
    }

    /// What a simulation can have wrong, to show that the oracle sees it.
    package enum Defect: String, CaseIterable, Sendable {
        /// A guest goes on at its destination as soon as it is there, whatever its source knows of that.
        case arrivesRunning = "arrives-running"
        /// A libvirt that is down answers that there is no domain.
        case absentWhenDown = "absent-when-down"
    }

    package let scheduler: Scheduler
    package let trace: Trace
    package let size: Size
    let machines: MachineTable
    let pool = SimulatedPool()
    let defect: Defect?
    package let database: SQLiteDatabase
    private let feed: CommitFeed
    private let current = Mutex<Server?>(nil)
    private let oracleProcess: Process

    package init(seed: UInt64, _ size: Size = Size(), defect: Defect? = nil) throws {
        let scheduler = Scheduler(seed: seed)
        let trace = Trace(scheduler)
        let chance = SimulatedChance(scheduler: scheduler)
        self.scheduler = scheduler
        self.trace = trace
        self.size = size
        self.defect = defect
        machines = MachineTable(
            (1...size.hosts).map { Machine(HostID(from: chance), "h\($0)", scheduler, trace) })
        let feed = CommitFeed()
        self.feed = feed
        let store = Process("the store", on: scheduler)
        let clock = SimulatedTime(scheduler: scheduler, process: store, skew: .zero)
        let commits = CommitCount()
        self.count = commits
        database = try SQLiteDatabase(
            inMemoryWith: clock, faults: NoFaultPoints(), logger: Self.silence,
            onCommit: { events, jobs in
                commits.add()
                for one in events { trace.note("event \(one.event.kind): \(one.event.message)") }
                feed.committed(jobsTouched: jobs)
            })
        oracleProcess = Process("the oracle", on: scheduler)
    }

    private let count: CommitCount
    /// How many commits there were.
    var commitCount: Int { count.value }

    private final class CommitCount: Sendable {
        private let number = Mutex(0)
        var value: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    static let silence = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }

    package var server: Server? { current.withLock { $0 } }

    // MARK: Beginning

    /// Records the hosts, an image and the VMs, and starts all processes.
    package func begin() {
        oracleProcess.start { [self] in
            let chance = SimulatedChance(scheduler: scheduler)
            try? await database.write("seed") { [machines] tx in
                for machine in machines.all {
                    try tx.insert(Host(id: machine.id, name: machine.name, createdAt: tx.now, updatedAt: tx.now))
                }
                let file = ImageFile(part: .disk, format: .qcow2, size: 1, virtualSize: 1, sha256: "00")
                let image = Image(
                    id: ImageID(from: chance), name: "image", kind: .disk, commandLine: "", files: [file],
                    createdAt: tx.now, updatedAt: tx.now)
                try tx.insert(image)
            }
            startServer()
            for machine in machines.all { startAgent(of: machine) }
        }
    }

    package func startServer() {
        trace.note("server starts")
        let process = Process("server", on: scheduler)
        let time = SimulatedTime(scheduler: scheduler, process: process, skew: .zero)
        let server = Server(process, time)
        let chance = SimulatedChance(scheduler: scheduler)
        let control = Context(
            database: database, sessions: server, time: time, ids: chance, random: chance, faults: NoFaultPoints(),
            feed: feed, settings: ControlSettings(node: "server"), logger: Self.silence)
        current.withLock { $0 = server }
        process.start { await server.run(control) }
    }

    package func killServer() {
        trace.note("server killed")
        current.withLock { server in
            server?.process.die()
            server = nil
        }
    }

    func startAgent(of machine: Machine) {
        guard machine.with({ !$0.isOff }) else { return }
        machine.note("agent starts")
        let process = machine.freshAgent()
        let life = AgentLife(machine, self, process)
        process.start { await life.run() }
    }

    func killAgent(of machine: Machine) {
        machine.killAgent()
        giveUpMoves(through: machine)
    }

    func losePower(of machine: Machine) {
        machine.losePower()
        giveUpMoves(through: machine)
    }

    /// What was on its way through the agent's connections.
    private func giveUpMoves(through machine: Machine) {
        for (vm, guest) in machine.guests.sorted(by: { $0.key < $1.key }) where guest.move == .leaving {
            for other in machines.all { giveUpSoon(vm, at: other) }
        }
        for other in machines.all where other !== machine {
            for (vm, guest) in other.guests.sorted(by: { $0.key < $1.key }) where guest.move == .arriving {
                giveUpSoon(vm, at: other)
            }
        }
    }

    private func giveUpSoon(_ vm: VMID, at machine: Machine) {
        scheduler.after(scheduler.milliseconds(10...1500)) { machine.giveUpMove(of: vm) }
    }

    /// Reads the records at once, without a step of the simulation.
    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any Transaction) throws -> Value
    ) throws -> Value {
        let result = Mutex<Result<Value, any Error>?>(nil)
        let inline = InlineExecutor()
        Task(executorPreference: inline) { [database] in
            let value: Result<Value, any Error>
            do { value = .success(try await database.read(body)) } catch { value = .failure(error) }
            result.withLock { $0 = value }
        }
        inline.drain()
        guard let value = result.withLock({ $0 }) else { throw NotAtOnce() }
        return try value.get()
    }
}

private struct NotAtOnce: Error {}

/// Runs what never waits for anything.
private final class InlineExecutor: TaskExecutor {
    private let jobs = Mutex<[UnownedJob]>([])

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
    }

    func drain() {
        while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
