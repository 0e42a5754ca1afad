import CLibvirt
package import Domain
import Glibc
package import HostAgent
import Synchronization

/// The `Hypervisor` of a host whose libvirt is reached through its C API.
///
/// It connects at the first call or event stream, and again whenever libvirtd comes back. No call blocks the cooperative
/// pool, and none waits longer than its limit; `unreachable` then says nothing about the call's effect.
package final class LibvirtHypervisor: Hypervisor {
    /// How QEMU is confined on this host.
    package enum Confinement: String, CaseIterable, Sendable {
        /// As libvirt's configuration says. The agent's directories must then be open to libvirt's QEMU user.
        case libvirt
        /// QEMU runs as root without mandatory access control, so that its files may lie anywhere.
        case none
    }

    /// The longest that callers wait.
    struct Limits: Sendable {
        var question: Duration = .seconds(5)
        var start: Duration = .seconds(60)
        /// libvirt itself waits 10 s for a QEMU to end before it kills it, and up to 30 s for the kill.
        var cutPower: Duration = .seconds(45)
        var kill: Duration = .seconds(10)
        /// The first question to a new libvirt can take a minute, while it probes QEMU.
        var facts: Duration = .seconds(90)
    }

    private let link: LibvirtLink
    private let calls: BlockingCalls
    /// Apart from the calls to libvirt, as it must work when those hang.
    private let kills = BlockingCalls(threadsMax: 8)
    /// Apart, as each holds a thread for as long as a guest's memory takes to copy.
    private let moves = BlockingCalls(threadsMax: 32)
    private let limits: Limits
    private let confinement: Confinement
    private let probing: Mutex<Task<AccelerationProbe.Finding, Never>?>

    package convenience init(uri: String = "qemu:///system", confinement: Confinement = .libvirt) {
        self.init(uri: uri, confinement: confinement, limits: Limits(), finding: nil)
    }

    /// `finding` stands for the probe's where it is known beforehand.
    init(uri: String, confinement: Confinement, limits: Limits, finding: AccelerationProbe.Finding?) {
        let calls = BlockingCalls()
        self.calls = calls
        link = LibvirtLink(uri: uri) { [calls, moves] reason in
            calls.abandon(reason)
            moves.abandon(reason)
        }
        self.limits = limits
        self.confinement = confinement
        probing = Mutex(finding.map { finding in Task { finding } })
    }

    /// Ends the connection and the event stream.
    package func close() { link.close() }

    package func facts() async throws(HypervisorError) -> HypervisorFacts {
        let finding = await acceleration()
        let versions = try await ask("versions", limits.facts) { connection throws(HypervisorError) in
            let (libvirt, qemu) = try connection.versions()
            return Versions(libvirt: libvirt, qemu: qemu)
        }
        return HypervisorFacts(
            domainType: finding.type.rawValue, reason: finding.reason, libvirtVersion: versions.libvirt,
            qemuVersion: versions.qemu)
    }

    package func capacity() async throws(HypervisorError) -> (cpus: Int, memory: Int) {
        let capacity = try await ask("capacity") { connection throws(HypervisorError) in
            let (cpus, memory) = try connection.capacity()
            return Capacity(cpus: cpus, memory: memory)
        }
        return (capacity.cpus, capacity.memory)
    }

    package func domains() async throws(HypervisorError) -> [ObservedDomain] {
        try await ask("list of domains") { [link] connection throws(HypervisorError) in
            try connection.domains(knownToBeOurs: link.isKnown)
        }
    }

    package func heldDomains() async throws(HypervisorError) -> [HeldDomain] {
        try await ask("list of domains") { [link] connection throws(HypervisorError) in
            try connection.heldDomains(knownToBeOurs: link.isKnown)
        }
    }

    package func domain(of vm: VMID) async throws(HypervisorError) -> ObservedDomain? {
        try await ask("domain") { connection throws(HypervisorError) in try connection.domain(of: vm) }
    }

    package func start(_ spec: DomainSpec) async throws(HypervisorError) {
        let type = await acceleration().type
        try await ask("start", limits.start) { [link, confinement] connection throws(HypervisorError) in
            if let present = try connection.domain(of: spec.vm) {
                let epoch = present.epoch.map { "of epoch \($0) " } ?? ""
                throw .failed("A domain \(epoch)of this VM runs here already; stop it first.")
            }
            let xml = try DomainXML(
                spec: spec, type: type, diskCache: Self.diskCache(spec.boot),
                confinement: Self.labels(confinement, connection))
            link.willStart(spec.vm, spec.epoch)
            do throws(HypervisorError) {
                try connection.create(xml.text)
            } catch {
                throw Self.cleanUp(after: error, of: spec, on: connection, link)
            }
        }
    }

    package func pressPowerButton(of vm: VMID) async throws(HypervisorError) {
        try await ask("power button") { connection throws(HypervisorError) in try connection.pressPowerButton(of: vm) }
    }

    package func control(_ control: GuestControl, of vm: VMID) async throws(HypervisorError) {
        try await ask(control.rawValue) { connection throws(HypervisorError) in try connection.control(control, of: vm)
        }
    }

    package func migrate(_ migration: DomainMigration) async throws(HypervisorError) {
        // What is cancelled or broken off still takes libvirt a while to undo.
        let limit = Duration.seconds(migration.options.timeout) * 2 + .seconds(600)
        try await moves.run("move", within: limit) { [link] () throws(HypervisorError) in
            try link.perform { connection throws(HypervisorError) in try connection.migrate(migration) }
        }
    }

    package func migrationProgress(of vm: VMID) async throws(HypervisorError) -> MigrationProgress? {
        try await ask("progress of a move") { connection throws(HypervisorError) in
            try connection.migrationProgress(of: vm)
        }
    }

    package func cancelMigration(of vm: VMID) async throws(HypervisorError) {
        try await ask("end of a move") { connection throws(HypervisorError) in try connection.cancelMigration(of: vm) }
    }

    package func setEpoch(_ epoch: Epoch, of vm: VMID) async throws(HypervisorError) {
        try await ask("change of metadata") { [link] connection throws(HypervisorError) in
            try connection.setEpoch(epoch, of: vm)
            link.didChange(vm, to: epoch)
        }
    }

    package func beginPostCopy(of vm: VMID) async throws(HypervisorError) {
        try await ask("turn to post-copy") { connection throws(HypervisorError) in
            try connection.beginPostCopy(of: vm)
        }
    }

    package func cutPower(of vm: VMID) async throws(HypervisorError) {
        try await ask("power cut", limits.cutPower) { connection throws(HypervisorError) in
            try connection.cutPower(of: vm)
        }
    }

    package func process(of vm: VMID) async throws(HypervisorError) -> (any GuestProcess)? {
        let (kills, limit) = (kills, limits.kill)
        let found = try await kills.run("process list", within: .seconds(5)) { () throws(HypervisorError) in
            try QEMUProcess(of: vm)
        }
        return found.map { FoundProcess(process: $0, calls: kills, limit: limit) }
    }

    private struct FoundProcess: GuestProcess {
        let process: QEMUProcess
        let calls: BlockingCalls
        let limit: Duration

        func kill() async throws(HypervisorError) {
            try await calls.run("kill", within: limit + .seconds(5)) { () throws(HypervisorError) in
                try process.kill(within: limit)
            }
        }
    }

    package func events() -> AsyncStream<HypervisorEvent> { link.events() }

    // MARK: How libvirt is asked

    private struct Versions: Sendable { let libvirt, qemu: String }
    private struct Capacity: Sendable { let cpus, memory: Int }

    private func ask<Value: Sendable>(
        _ what: String, _ limit: Duration? = nil,
        _ body: @escaping @Sendable (LibvirtConnection) throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        try await calls.run(what, within: limit ?? limits.question) { [link] () throws(HypervisorError) in
            try link.perform(body)
        }
    }

    private func acceleration() async -> AccelerationProbe.Finding {
        let task = probing.withLock { probing in
            let task = probing ?? Task { await AccelerationProbe().run() }
            probing = task
            return task
        }
        return await task.value
    }

    // MARK: Start

    /// Removes what a failed start left; the error to throw says whether that is certain.
    private static func cleanUp(
        after error: HypervisorError, of spec: DomainSpec, on connection: LibvirtConnection, _ link: LibvirtLink
    ) -> HypervisorError {
        if case .unreachable = error { return error }
        do throws(HypervisorError) {
            if try connection.domain(of: spec.vm)?.epoch == spec.epoch { try connection.cutPower(of: spec.vm) }
        } catch {
            switch error {
            case .noDomain: break
            case .unreachable: return error
            case .failed(let reason):
                return .unreachable("the start failed, and what it left cannot be removed: \(reason)")
            }
        }
        link.didNotStart(spec.vm, spec.epoch)
        return error == .noDomain ? .failed("libvirt lost the domain while it started.") : error
    }

    private static func labels(
        _ confinement: Confinement, _ connection: LibvirtConnection
    ) throws(HypervisorError) -> DomainXML.SecurityLabels {
        switch confinement {
        case .libvirt: .libvirtDefault
        case .none: .unconfined(model: try connection.mandatoryAccessControl())
        }
    }

    /// Direct I/O where the disk's filesystem knows it: a QEMU asked for it elsewhere would not start.
    private static func diskCache(_ boot: BootFiles) -> String {
        switch boot {
        case .kernel: return "none"
        case .disk(let path):
            let file = open(path, O_RDONLY | O_CLOEXEC | roost_open_direct)
            guard file < 0 else {
                Glibc.close(file)
                return "none"
            }
            return errno == EINVAL ? "writeback" : "none"
        }
    }
}
