import CLibvirt
import Domain
import Glibc
import HostAgent

extension LibvirtConnection {
    /// Lets this host's libvirtd move the domain to the one behind the sockets; returns when it has arrived.
    func migrate(_ migration: DomainMigration) throws(HypervisorError) {
        try withDomain(migration.vm) { domain throws(HypervisorError) in
            guard
                let text = virDomainGetXMLDesc(
                    domain, VIR_DOMAIN_XML_SECURE.rawValue | VIR_DOMAIN_XML_MIGRATABLE.rawValue)
            else { throw self.lastErrorOfActive(domain) }
            defer { free(text) }
            let arriving: String
            do throws(ArrivalXML.Unsuitable) {
                arriving = try ArrivalXML(migration).text(from: String(cString: text))
            } catch {
                throw .failed(error.reason)
            }
            let parameters = try TypedParameters([
                (VIR_MIGRATE_PARAM_URI, "unix://\(migration.sockets.memory)"),
                (VIR_MIGRATE_PARAM_DISKS_URI, "unix://\(migration.sockets.disks)"),
                (VIR_MIGRATE_PARAM_DEST_XML, arriving),
            ])
            let failed =
                virDomainMigrateToURI3(
                    domain, "qemu+unix:///system?socket=\(migration.sockets.libvirt)", parameters.list,
                    UInt32(parameters.count), Self.flags(migration)) != 0
            if failed { throw self.lastErrorOfActive(domain) }
        }
    }

    private static func flags(_ migration: DomainMigration) -> UInt32 {
        let options = migration.options
        var flags = VIR_MIGRATE_LIVE.rawValue | VIR_MIGRATE_PEER2PEER.rawValue
        if options.autoConverges { flags |= VIR_MIGRATE_AUTO_CONVERGE.rawValue }
        // libvirt lets the guest go on here when what the destination says of its arrival is lost, although it has begun to
        // go on there. From a turn to post-copy it does not come back.
        flags |= migration.turnsToPostCopy ? VIR_MIGRATE_POSTCOPY.rawValue : VIR_MIGRATE_PAUSED.rawValue
        if options.copiesStorage {
            // The base image is at the destination already; only what the guest wrote over it is copied.
            flags |= VIR_MIGRATE_NON_SHARED_INC.rawValue
        } else {
            // libvirt knows shared filesystems by a list of their types. That the hosts share the pool is proven by its identity,
            // and that QEMU does not cache it by how its disks are opened.
            flags |= VIR_MIGRATE_UNSAFE.rawValue
        }
        return flags
    }

    /// How far the domain's move has come; nil when none is under way.
    func migrationProgress(of vm: VMID) throws(HypervisorError) -> MigrationProgress? {
        try withDomain(vm) { domain throws(HypervisorError) in
            var type: Int32 = 0
            var list: virTypedParameterPtr?
            var count: Int32 = 0
            guard virDomainGetJobStats(domain, &type, &list, &count, 0) == 0 else {
                throw self.lastErrorOfActive(domain)
            }
            defer { virTypedParamsFree(list, count) }
            guard UInt32(bitPattern: type) != VIR_DOMAIN_JOB_NONE.rawValue else { return nil }
            func number(_ name: String) -> Int64 {
                var value: UInt64 = 0
                guard virTypedParamsGetULLong(list, count, name, &value) == 1 else { return 0 }
                return Int64(clamping: value)
            }
            return MigrationProgress(
                processed: number(VIR_DOMAIN_JOB_DATA_PROCESSED), total: number(VIR_DOMAIN_JOB_DATA_TOTAL),
                remaining: number(VIR_DOMAIN_JOB_DATA_REMAINING))
        }
    }

    func cancelMigration(of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            if virDomainAbortJob(domain) != 0 { throw self.lastErrorOfActive(domain) }
        }
    }

    func setEpoch(_ epoch: Epoch, of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            // libvirt adds the namespace by itself, under the given prefix.
            let element = "<vm id=\"\(vm)\" epoch=\"\(epoch)\"/>"
            let failed =
                virDomainSetMetadata(
                    domain, Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue), element, "roost", DomainMetadata.namespace,
                    VIR_DOMAIN_AFFECT_LIVE.rawValue) != 0
            if failed { throw self.lastErrorOfActive(domain) }
        }
    }

    func beginPostCopy(of vm: VMID) throws(HypervisorError) {
        try withDomain(vm) { domain throws(HypervisorError) in
            if virDomainMigrateStartPostCopy(domain, 0) != 0 { throw self.lastErrorOfActive(domain) }
        }
    }
}

/// Strings under names, as libvirt takes them.
private final class TypedParameters {
    private(set) var list: virTypedParameterPtr?
    private(set) var count: Int32 = 0
    private var capacity: Int32 = 0

    init(_ strings: [(name: String, value: String)]) throws(HypervisorError) {
        for (name, value) in strings {
            guard virTypedParamsAddString(&list, &count, &capacity, name, value) == 0 else {
                throw .failed("the move's parameters do not fit: \(LibvirtFailure.latest().message)")
            }
        }
    }

    deinit { virTypedParamsFree(list, count) }
}
