import CLibvirt
import Domain
import Glibc
import HostAgent

/// One connection to libvirtd, for one caller at a time. Every method blocks until libvirt answers or the connection is
/// found dead.
final class LibvirtConnection: @unchecked Sendable {
    // Proof: the pointer never changes, and `LibvirtLink` lends a connection to one thread at a time.
    private let pointer: OpaquePointer

    /// Opens a connection. Hangs for as long as a libvirtd accepts and does not speak.
    init(uri: String) throws(HypervisorError) {
        guard let pointer = virConnectOpen(uri) else {
            throw .unreachable(Self.unreachableText(LibvirtFailure.latest(), uri))
        }
        self.pointer = pointer
    }

    /// Closing asks libvirtd as well, unless the connection is dead.
    deinit { virConnectClose(pointer) }

    private static func unreachableText(_ failure: LibvirtFailure, _ uri: String) -> String {
        "libvirt cannot be reached at \(uri): \(failure.message)"
    }

    /// Whether the connection's transport still stands; asks nobody.
    var isAlive: Bool { virConnectIsAlive(pointer) == 1 }

    /// How events reach their receiver: called on libvirt's event thread, which must not be held up.
    struct Receiver: Sendable {
        let lifecycle: @Sendable (LifecycleNotice) -> Void
        let closed: @Sendable (String) -> Void
    }

    /// From here on lifecycle events and the connection's end are told to `receiver`, until `unsubscribe`.
    ///
    /// A libvirtd that is silent for about 9 s counts as lost, which also ends a call that is under way.
    func subscribe(_ receiver: Receiver) throws(HypervisorError) -> Subscription {
        // The built-in test driver has neither keepalive nor an end that could be told.
        _ = virConnectSetKeepAlive(pointer, 3, 2)
        let closing = Unmanaged.passRetained(Target(receiver))
        if virConnectRegisterCloseCallback(pointer, tellClosed, closing.toOpaque(), releaseTarget) != 0 {
            closing.release()
        }
        let target = Unmanaged.passRetained(Target(receiver))
        let id = roost_register_lifecycle(pointer, tellLifecycle, target.toOpaque(), releaseTarget)
        guard id >= 0 else {
            let error = lastError()
            target.release()
            virConnectUnregisterCloseCallback(pointer, tellClosed)
            throw error
        }
        let rebootTarget = Unmanaged.passRetained(Target(receiver))
        let rebootID = roost_register_reboot(pointer, tellReboot, rebootTarget.toOpaque(), releaseTarget)
        guard rebootID >= 0 else {
            let error = lastError()
            rebootTarget.release()
            unsubscribe(Subscription(ids: [id]))
            throw error
        }
        return Subscription(ids: [id, rebootID])
    }

    struct Subscription: Sendable { fileprivate let ids: [Int32] }

    /// Ends the subscription. A connection that is never unsubscribed is never closed.
    func unsubscribe(_ subscription: Subscription) {
        virConnectUnregisterCloseCallback(pointer, tellClosed)
        for id in subscription.ids { virConnectDomainEventDeregisterAny(pointer, id) }
    }

    // MARK: What libvirt shows

    /// All active domains of Roost's. `known` are Roost's even if libvirt does not show their metadata just now.
    func domains(knownToBeOurs known: (VMID) -> Bool) throws(HypervisorError) -> [ObservedDomain] {
        var list: UnsafeMutablePointer<OpaquePointer?>?
        let count = virConnectListAllDomains(pointer, &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE.rawValue)
        guard count >= 0, let list else { throw lastError() }
        defer {
            for index in 0..<Int(count) { virDomainFree(list[index]) }
            free(list)
        }
        var domains: [ObservedDomain] = []
        for index in 0..<Int(count) {
            guard let domain = list[index], let vm = uuid(of: domain) else { continue }
            do {
                if let observed = try observe(domain) { domains.append(observed) }
            } catch {
                switch error {
                case .noDomain: continue
                case .unreachable: throw error
                case .failed:
                    // Not to list it would say that it is not there.
                    guard known(vm) else { throw error }
                    domains.append(ObservedDomain(vm: vm, epoch: nil, state: .running))
                }
            }
        }
        return domains
    }

    /// The active domain of `vm`, if there is one of Roost's.
    func domain(of vm: VMID) throws(HypervisorError) -> ObservedDomain? {
        do {
            return try withDomain(vm) { domain throws(HypervisorError) in try self.observe(domain) }
        } catch {
            if error == .noDomain { return nil }
            throw error
        }
    }

    /// The same domains as `domains`, each with its name and size; one that ends meanwhile is left out.
    func heldDomains(knownToBeOurs known: (VMID) -> Bool) throws(HypervisorError) -> [HeldDomain] {
        var held: [HeldDomain] = []
        for seen in try domains(knownToBeOurs: known) {
            do {
                held.append(
                    try withDomain(seen.vm) { domain throws(HypervisorError) in
                        var info = virDomainInfo()
                        guard virDomainGetInfo(domain, &info) == 0, let name = virDomainGetName(domain) else {
                            throw self.lastErrorOfActive(domain)
                        }
                        return HeldDomain(
                            seen: seen, name: String(cString: name), cpus: Int(info.nrVirtCpu),
                            memory: Int(info.maxMem / 1024))
                    })
            } catch {
                guard error == .noDomain else { throw error }
            }
        }
        return held
    }

    /// The domain's state and epoch; nil when it is not active or not Roost's.
    private func observe(_ domain: OpaquePointer) throws(HypervisorError) -> ObservedDomain? {
        guard let vm = uuid(of: domain) else { return nil }
        var state: Int32 = 0
        var reason: Int32 = 0
        guard virDomainGetState(domain, &state, &reason, 0) == 0 else { throw lastError() }
        guard let seen = Self.state(UInt32(bitPattern: state), UInt32(bitPattern: reason)) else { return nil }
        guard
            let text = virDomainGetMetadata(
                domain, Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue), DomainMetadata.namespace,
                VIR_DOMAIN_AFFECT_LIVE.rawValue)
        else {
            let failure = LibvirtFailure.latest()
            if failure.code == VIR_ERR_NO_DOMAIN_METADATA.rawValue { return nil }
            throw error(failure)
        }
        defer { free(text) }
        let metadata = DomainMetadata(element: String(cString: text))
        // A copy that somebody made of a domain carries the original's metadata under a new identity.
        let epoch = metadata?.vm == vm ? metadata?.epoch : nil
        return ObservedDomain(vm: vm, epoch: epoch, state: seen)
    }

    /// What an active domain's state means; nil when the domain is not active.
    private static func state(_ state: UInt32, _ reason: UInt32) -> DomainState? {
        switch state {
        case VIR_DOMAIN_SHUTOFF.rawValue: nil
        case VIR_DOMAIN_PAUSED.rawValue where movingReasons.contains(reason): .moving
        case VIR_DOMAIN_PAUSED.rawValue where reason == VIR_DOMAIN_PAUSED_STARTING_UP.rawValue: .starting
        // A crashed domain that is still active is kept by libvirt with its CPUs halted.
        case VIR_DOMAIN_PAUSED.rawValue, VIR_DOMAIN_PMSUSPENDED.rawValue, VIR_DOMAIN_CRASHED.rawValue: .paused
        default: .running
        }
    }

    /// Why a domain is paused whose guest is on its way from or to another host.
    private static let movingReasons: Set<UInt32> = [
        VIR_DOMAIN_PAUSED_MIGRATION.rawValue, VIR_DOMAIN_PAUSED_POSTCOPY.rawValue,
        VIR_DOMAIN_PAUSED_POSTCOPY_FAILED.rawValue,
    ]

    // MARK: What libvirt does

    /// Creates and starts a transient domain.
    func create(_ xml: String) throws(HypervisorError) {
        guard let domain = virDomainCreateXML(pointer, xml, 0) else { throw lastError() }
        virDomainFree(domain)
    }

    func pressPowerButton(of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            let failed = virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN.rawValue) != 0
            if failed { throw self.lastErrorOfActive(domain) }
        }
    }

    func control(_ control: GuestControl, of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            let result =
                switch control {
                case .pause: virDomainSuspend(domain)
                case .resume: virDomainResume(domain)
                case .reset: virDomainReset(domain, 0)
                case .reboot: virDomainReboot(domain, VIR_DOMAIN_REBOOT_ACPI_POWER_BTN.rawValue)
                }
            if result != 0 { throw self.lastErrorOfActive(domain) }
        }
    }

    func cutPower(of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            if virDomainDestroyFlags(domain, 0) != 0 { throw self.lastErrorOfActive(domain) }
        }
    }

    // MARK: What libvirt is

    /// CPUs and memory (MiB) of the machine.
    func capacity() throws(HypervisorError) -> (cpus: Int, memory: Int) {
        var node = virNodeInfo()
        guard virNodeGetInfo(pointer, &node) == 0 else { throw lastError() }
        return (Int(node.cpus), Int(node.memory / 1024))
    }

    func versions() throws(HypervisorError) -> (libvirt: String, qemu: String) {
        var libvirt: UInt = 0
        var qemu: UInt = 0
        guard virConnectGetLibVersion(pointer, &libvirt) == 0, virConnectGetVersion(pointer, &qemu) == 0
        else { throw lastError() }
        return (Self.version(libvirt), Self.version(qemu))
    }

    static func version(_ number: UInt) -> String {
        "\(number / 1_000_000).\(number / 1000 % 1000).\(number % 1000)"
    }

    /// The name of the machine's mandatory access control (`apparmor`, `selinux`); nil where libvirt uses none.
    func mandatoryAccessControl() throws(HypervisorError) -> String? {
        var model = virSecurityModel()
        guard virNodeGetSecurityModel(pointer, &model) == 0 else { throw lastError() }
        let name = withUnsafeBytes(of: model.model) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return ["", "none", "dac"].contains(name) ? nil : name
    }

    // MARK: Errors and lookups

    func withDomain<Value>(
        _ vm: VMID, _ body: (OpaquePointer) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        guard let domain = virDomainLookupByUUIDString(pointer, vm.rawValue) else { throw lastError() }
        defer { virDomainFree(domain) }
        return try body(domain)
    }

    /// A call on a domain that ended meanwhile fails in words of its own.
    func lastErrorOfActive(_ domain: OpaquePointer) -> HypervisorError {
        let failure = LibvirtFailure.latest()
        let isInactive = failure.code == VIR_ERR_OPERATION_INVALID.rawValue && virDomainIsActive(domain) == 0
        return isInactive ? .noDomain : error(failure)
    }

    func lastError() -> HypervisorError { error(LibvirtFailure.latest()) }

    private func error(_ failure: LibvirtFailure) -> HypervisorError {
        HypervisorError(
            code: failure.code, domain: failure.domain, message: failure.message, isConnectionAlive: isAlive)
    }
}

/// Keeps a receiver alive for as long as libvirt may call it.
private final class Target: Sendable {
    let receiver: LibvirtConnection.Receiver

    init(_ receiver: LibvirtConnection.Receiver) { self.receiver = receiver }

    static func from(_ opaque: UnsafeMutableRawPointer?) -> Target? {
        opaque.map { Unmanaged<Target>.fromOpaque($0).takeUnretainedValue() }
    }
}

private func releaseTarget(_ opaque: UnsafeMutableRawPointer?) {
    guard let opaque else { return }
    Unmanaged<Target>.fromOpaque(opaque).release()
}

private func tellLifecycle(
    _ connection: OpaquePointer?, _ domain: OpaquePointer?, _ event: Int32, _ detail: Int32,
    _ opaque: UnsafeMutableRawPointer?
) -> Int32 {
    guard let target = Target.from(opaque), let domain else { return 0 }
    if let vm = uuid(of: domain) { target.receiver.lifecycle(LifecycleNotice(vm: vm, event: event, detail: detail)) }
    return 0
}

private func tellReboot(_ connection: OpaquePointer?, _ domain: OpaquePointer?, _ opaque: UnsafeMutableRawPointer?) {
    guard let target = Target.from(opaque), let domain, let vm = uuid(of: domain) else { return }
    target.receiver.lifecycle(LifecycleNotice(vm: vm, kind: .rebooted))
}

private func uuid(of domain: OpaquePointer) -> VMID? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(VIR_UUID_STRING_BUFLEN)) { buffer in
        guard let base = buffer.baseAddress, virDomainGetUUIDString(domain, base) == 0 else { return nil }
        return VMID(String(cString: base))
    }
}

private func tellClosed(_ connection: OpaquePointer?, _ reason: Int32, _ opaque: UnsafeMutableRawPointer?) {
    guard let target = Target.from(opaque) else { return }
    switch UInt32(bitPattern: reason) {
    case VIR_CONNECT_CLOSE_REASON_EOF.rawValue: target.receiver.closed("libvirtd closed the connection")
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE.rawValue: target.receiver.closed("libvirtd does not answer")
    default: target.receiver.closed("the connection to libvirtd broke")
    }
}
