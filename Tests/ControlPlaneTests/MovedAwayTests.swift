import ControlPlane
import Domain
import Testing

/// Domains that somebody moves behind Roost's back, and conflicts that an operator settles.
@Suite struct MovedAwayTests {
    private let caller = Rig.operatorCaller
    private let found = Placement(host: rigHostB, epoch: Epoch(2))

    private func rigWithEngine(_ body: (Rig, VM) async throws -> Void) async throws {
        let rig = try await Rig()
        let engine = rig.startEngine()
        defer { engine.cancel() }
        try await rig.connect(rigHostA)
        try await rig.connect(rigHostB)
        try await body(rig, try await rig.runningVM())
    }

    /// libvirt itself has moved the domain from A to B.
    private func moveAway(_ vm: VM, _ rig: Rig) {
        rig.hosts.change(rigHostA) { $0.domains = [:] }
        rig.hosts.change(rigHostB) { $0.domains[vm.id] = Epoch(1) }
    }

    private func report(_ state: DomainState, of vm: VM, from host: HostID, _ rig: Rig) async throws {
        rig.hosts.change(host) { $0.sequence += 1 }
        try await rig.sessions.received(
            DomainChange(vm: vm.id, epoch: Epoch(1), state: state, sequence: rig.hosts.host(host).sequence), from: host,
            session: rig.hosts.host(host).session)
    }

    /// - Parameter wasMissed: whether the record said for a time that the guest was gone.
    private func adopted(_ rig: Rig, wasMissed: Bool = false) async throws {
        let vm = try await eventually("it is taken up") {
            let vm = try await rig.vm()
            #expect(wasMissed || vm.state.label != .stopped)
            return vm.state == .running(found) ? vm : nil
        }
        #expect(vm.epoch == Epoch(2))
        #expect(rig.hosts.host(rigHostB).domains == [vm.id: Epoch(2)])
        #expect(try await rig.vms.vm("v").conflicts.isEmpty)
        #expect(rig.hosts.log.allSatisfy { !$0.contains("stop") })
        #expect(try await rig.endedGCJob().outcome == .adopted)
    }

    /// R01: whichever host tells first, the VM is never stopped, no stop is sent, and it is running on B in the end.
    @Test func `R01 B tells of the arrival first, then A of the leaving`() async throws {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            try await report(.running, of: vm, from: rigHostB, rig)
            #expect(try await rig.vm().state == .running(Placement(host: rigHostA, epoch: Epoch(1))))
            #expect(try await rig.vms.vm("v").conflicts.map(\.host) == [rigHostB])
            try await report(.gone(.movedAway), of: vm, from: rigHostA, rig)
            try await adopted(rig)
        }
    }

    @Test func `R01 A tells of the leaving first, then B of the arrival`() async throws {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            try await report(.gone(.movedAway), of: vm, from: rigHostA, rig)
            let lost = try await rig.vm()
            #expect(lost.state.waiting == .movedAway)
            // What A's inventories say from now on settles nothing.
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostA), from: rigHostA, session: rig.hosts.host(rigHostA).session)
            #expect(try await rig.vm().state == lost.state)
            for attempt in [
                { try await rig.vms.start("v", on: "a", by: caller) },
                { try await rig.vms.stop("v", StopRequest(mode: .force, isDeferrable: true), by: caller) },
                { try await rig.vms.destroy("v", isDeferrable: true, by: caller) },
            ] {
                let fault = try await #require(throws: Fault.self) { _ = try await attempt() }
                #expect(fault.kind == .conflict)
                #expect(fault.hint?.contains("roost vm resolve v --gone") == true)
            }
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostB), from: rigHostB, session: rig.hosts.host(rigHostB).session)
            try await adopted(rig)
        }
    }

    @Test func `R01 seen in inventories alone, B's first: the same epoch elsewhere says that it was moved`()
        async throws
    {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            for host in [rigHostB, rigHostA] {
                try await rig.sessions.received(
                    rig.hosts.inventory(host), from: host, session: rig.hosts.host(host).session)
            }
            try await adopted(rig)
        }
    }

    /// Nobody saw how it left, so that the record says *found gone* until the other host's inventory shows the very same epoch.
    @Test func `R01 seen in inventories alone, A's first: it is taken up as soon as B shows it`() async throws {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostA), from: rigHostA, session: rig.hosts.host(rigHostA).session)
            #expect(try await rig.vm().state == .stopped(.foundGone))
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostB), from: rigHostB, session: rig.hosts.host(rigHostB).session)
            try await adopted(rig, wasMissed: true)
        }
    }

    @Test func `a VM that somebody stopped is not taken up by itself, wherever a domain shows up`() async throws {
        try await rigWithEngine { rig, vm in
            let stop = try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller)
            _ = try await rig.jobs.wait(for: stop.id.rawValue, atMost: .seconds(20))
            rig.hosts.change(rigHostB) { $0.domains[vm.id] = Epoch(1) }
            try await rig.sessions.received(
                rig.hosts.inventory(rigHostB), from: rigHostB, session: rig.hosts.host(rigHostB).session)
            #expect(try await rig.vm().state == .stopped(.requested))
            #expect(try await rig.vms.vm("v").conflicts.map(\.host) == [rigHostB])
            #expect(try await rig.gcJobs().isEmpty)
        }
    }

    @Test func `a fence of the host that it left says nothing of where it runs`() async throws {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            try await report(.gone(.movedAway), of: vm, from: rigHostA, rig)
            try await rig.cut(rigHostA)
            _ = try await rig.hostService.fence("a", proof: "off", by: caller)
            #expect(try await rig.vm().state.waiting == .movedAway)
        }
    }

    @Test func `what runs nowhere is written off by an operator's word, and by nothing less`() async throws {
        try await rigWithEngine { rig, vm in
            let early = try await #require(throws: Fault.self) {
                _ = try await rig.vms.resolve("v", .gone(proof: "I looked"), by: caller)
            }
            #expect(early.code == .invalidState)
            moveAway(vm, rig)
            rig.hosts.change(rigHostB) { $0.domains = [:] }
            try await report(.gone(.movedAway), of: vm, from: rigHostA, rig)
            let silent = try await #require(throws: Fault.self) {
                _ = try await rig.vms.resolve("v", .gone(proof: ""), by: caller)
            }
            #expect(silent.field == "proof")
            let view = try await rig.vms.resolve("v", .gone(proof: "I looked at every host"), by: caller)
            #expect(view.vm.state == .stopped(.writtenOff))
            #expect(try await rig.start(on: "b").state == .running(found))
        }
    }

    @Test(arguments: [false, true])
    func `a domain where none should be is taken up or ended, as the operator says`(adopts: Bool) async throws {
        try await rigWithEngine { rig, vm in
            _ = try await rig.jobs.wait(
                for: try await rig.vms.stop("v", StopRequest(mode: .cold), by: caller).id.rawValue,
                atMost: .seconds(30))
            // Somebody brought it up by hand, with the metadata that it had.
            rig.hosts.change(rigHostB) { $0.domains[vm.id] = Epoch(1) }
            let nothing = try await #require(throws: Fault.self) {
                _ = try await rig.vms.resolve("v", .adopt(host: "b"), by: caller)
            }
            #expect(nothing.code == .domainNotFound)
            try await report(.running, of: vm, from: rigHostB, rig)
            let refused = try await #require(throws: Fault.self) {
                _ = try await rig.vms.start("v", on: "a", by: caller)
            }
            #expect(refused.hint?.contains("roost vm resolve v --adopt|--stop b") == true)
            _ = try await rig.vms.resolve("v", adopts ? .adopt(host: "b") : .stop(host: "b"), by: caller)
            let job = try await rig.endedGCJob()
            if adopts {
                #expect(job.outcome == .adopted)
                #expect(try await rig.vm().state == .running(found))
            } else {
                #expect(job.placement == Placement(host: rigHostB, epoch: Epoch(1)))
                #expect(try await rig.vm().state.label == .stopped)
                #expect(rig.hosts.host(rigHostB).domains.isEmpty)
            }
            #expect(try await rig.vms.vm("v").conflicts.isEmpty)
        }
    }

    @Test func `a domain that is gone when its turn comes is not adopted`() async throws {
        try await rigWithEngine { rig, vm in
            moveAway(vm, rig)
            rig.gates.close("gc-adopt.before-command")
            try await report(.running, of: vm, from: rigHostB, rig)
            try await report(.gone(.movedAway), of: vm, from: rigHostA, rig)
            _ = try await eventually("its turn") { rig.gates.isHolding("gc-adopt.before-command") ? true : nil }
            rig.hosts.change(rigHostB) { $0.domains = [:] }
            rig.gates.open("gc-adopt.before-command")
            #expect(try await rig.endedGCJob().outcome == .superseded)
            #expect(try await rig.vm().state.waiting == .movedAway)
        }
    }
}
