import ControlPlane
import Domain

/// People who ask for things, without looking much, and what breaks meanwhile.
struct Workload: Sendable {
    let world: World
    private var scheduler: Scheduler { world.scheduler }

    func begin(until end: Duration) {
        for number in 0..<world.size.operators {
            let process = Process("operator \(number)", on: scheduler)
            let time = SimulatedTime(scheduler: scheduler, process: process, skew: .zero)
            process.start {
                while scheduler.now < end {
                    try? await time.sleep(for: scheduler.milliseconds(200...6000))
                    if scheduler.now < end, let server = world.server, server.control != nil { ask(server) }
                }
            }
        }
        breakThings(until: end)
    }

    private func ask(_ server: Server) {
        let vm = "v\(scheduler.below(world.size.vms))"
        let host = world.machines.all[scheduler.below(world.size.hosts)].name
        let kind = scheduler.below(20)
        let mode: StopMode = [.grace, .cold, .force][scheduler.below(3)]
        let isDeferrable = scheduler.oneIn(2)
        let options = MigrationOptions(allowsPostCopy: scheduler.oneIn(5), timeout: 2 + scheduler.below(60))
        server.process.start {
            guard let control = server.control else { return }
            let (vms, caller) = (VMService(control), Caller(principal: Principal(name: "operator")))
            let word: String
            do {
                switch kind {
                case 0...5:
                    word = "start"
                    let wanted = kind < 3 ? host : nil
                    do { _ = try await vms.start(vm, on: wanted, by: caller) } catch let fault as Fault
                        where fault.code == .notFound
                    {
                        _ = try await vms.create(NewVM(name: vm, image: "image", cpus: 1, memory: 64), by: caller)
                        _ = try await vms.start(vm, on: wanted, by: caller)
                    }
                case 6...9:
                    word = "stop \(mode.rawValue)"
                    let request = StopRequest(mode: mode, timeout: 3, isDeferrable: isDeferrable)
                    _ = try await vms.stop(vm, request, by: caller)
                case 10...13:
                    word = "migrate to \(host)"
                    _ = try await vms.migrate(vm, MigrateRequest(host: host, options: options), by: caller)
                case 14:
                    word = "move cold"
                    _ = try await vms.migrate(vm, MigrateRequest(isLive: false, stopTimeout: 3), by: caller)
                case 15:
                    word = "pause"
                    _ = try await vms.control(vm, .pause, by: caller)
                case 16:
                    word = "resume"
                    _ = try await vms.control(vm, .resume, by: caller)
                case 17:
                    word = "reset"
                    _ = try await vms.control(vm, .reset, by: caller)
                case 18:
                    word = "cancel"
                    if let operation = try await vms.vm(vm).vm.operation {
                        _ = try await JobService(control).cancelOperation(operation.rawValue, by: caller)
                    }
                default:
                    word = "delete"
                    _ = try await vms.destroy(vm, isDeferrable: isDeferrable, by: caller)
                }
                world.trace.note("operator: \(word) \(vm): accepted")
            } catch {
                let code = (error as? Fault)?.code.rawValue ?? "\(error)"
                world.trace.note("operator: \(kind) \(vm): \(code)")
            }
        }
    }

    // MARK: Faults

    private func breakThings(until end: Duration) {
        scheduler.after(scheduler.milliseconds(500...8000)) {
            guard scheduler.now < end else { return }
            let machine = world.machines.all[scheduler.below(world.size.hosts)]
            let pause = scheduler.milliseconds(50...15_000)
            if scheduler.oneIn(2) {
                world.machines.lay { if scheduler.now < end { breakOne($0, pause) } }
            } else {
                breakOne(machine, pause)
            }
            breakThings(until: end)
        }
    }

    private func breakOne(_ machine: Machine, _ pause: Duration) {
        switch scheduler.below(12) {
        case 0...3:
            machine.cut()
            scheduler.after(pause) { machine.heal() }
        case 4, 5:
            world.killAgent(of: machine)
            scheduler.after(pause) { if machine.agent.isDead { world.startAgent(of: machine) } }
        case 6, 7:
            machine.killLibvirt()
            scheduler.after(pause) { machine.startLibvirt() }
        case 8:
            world.losePower(of: machine)
            scheduler.after(pause) { bringBack(machine) }
        case 9:
            guard let victim = machine.guests.keys.sorted().first else { return }
            machine.note("QEMU of \(victim.short) dies")
            machine.change(victim, to: nil, because: .failed)
        default:
            world.killServer()
            scheduler.after(pause / 2) { if world.server == nil { world.startServer() } }
        }
    }

    private func bringBack(_ machine: Machine) {
        guard machine.with({ $0.isOff }) else { return }
        machine.boot()
        world.startAgent(of: machine)
    }

    /// Mends all that is broken.
    func mend() {
        world.trace.note("all is mended")
        for machine in world.machines.all {
            machine.heal()
            if machine.with({ $0.isOff }) { machine.boot() }
            machine.startLibvirt()
            if machine.agent.isDead { world.startAgent(of: machine) }
        }
        if world.server == nil { world.startServer() }
    }
}
