import Domain
import HostAgent
import Logging

/// A host agent's process: its own logic, and its sessions with whichever server lives.
struct AgentLife: Sendable {
    let machine: Machine
    let world: World
    let process: Process
    let time: SimulatedTime
    let agent: Agent

    init(_ machine: Machine, _ world: World, _ process: Process) {
        let chance = SimulatedChance(scheduler: world.scheduler)
        let time = SimulatedTime(scheduler: world.scheduler, process: process, skew: .zero)
        let disk = SimulatedDisk(machine: machine)
        (self.machine, self.world, self.process, self.time) = (machine, world, process, time)
        agent = Agent(
            hypervisor: SimulatedHypervisor(
                machine: machine, world: world.machines, time: time, defect: world.defect),
            storage: SimulatedStorage(machine: machine, shared: world.pool, time: time),
            channel: SimulatedChannel(machine: machine, world: world.machines, time: time), journal: disk,
            ledger: disk, time: time, ids: chance, faults: NoFaultPoints(),
            bootID: "\(machine.name)-\(machine.with { $0.boots })", version: "simulated",
            logger: Logger(label: "agent") { _ in SwiftLogNoOpLogHandler() })
    }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await agent.run() }
            group.addTask { await dial() }
        }
    }

    private func dial() async {
        while !Task.isCancelled {
            if machine.isReachable, let server = world.server, server.control != nil { await talk(to: server) }
            try? await time.sleep(for: world.scheduler.milliseconds(100...2000))
        }
    }

    private func talk(to server: Server) async {
        let connection = Connection(machine, agent: process, server: server.process)
        server.process.start { await server.serve(machine, connection) }
        let reports = agent.reports()
        let content = await agent.hello()
        connection.say(.hello(content))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await report in reports where !report.isOlder(than: content.inventory.sequence) {
                    connection.say(.report(report))
                }
            }
            // What was begun goes on when the session ends.
            for await word in connection.toAgent { answer(word, connection) }
            group.cancelAll()
        }
    }

    private func answer(_ word: ServerWord, _ connection: Connection) {
        process.start {
            switch word {
            case .welcome: break
            case .command(let command, let id, let point):
                await agent.hear(point)
                guard let outcome = try? await agent.execute(command, id: id) else { return }
                connection.say(.outcome(id, outcome))
            case .settle(let id): connection.say(.settlement(id, await agent.settle(id)))
            case .acknowledge(let id): await agent.acknowledge(id)
            case .inventory(let number): connection.say(.inventory(number, await agent.collectInventory()))
            case .holdings(let number):
                let held: Result<HostHoldings, Fault>
                do throws(Fault) { held = .success(try await agent.collectHoldings()) } catch { held = .failure(error) }
                connection.say(.holdings(number, held))
            }
        }
    }
}

extension AgentReport {
    /// Whether a hello that was collected at `sequence` says more already.
    fileprivate func isOlder(than sequence: Int64) -> Bool {
        switch self {
        case .domainChanged(_, _, _, let number): number <= sequence
        case .inventory(let inventory): inventory.sequence <= sequence
        case .lostSight, .migrationProgress, .helloDue: false
        }
    }
}
