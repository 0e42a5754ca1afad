package import Domain

/// Resources are addressed by id or by their unique name.
extension Transaction {
    func resolveVM(_ reference: String) throws -> VM {
        let found = try VMID(reference).map { try vm($0) } ?? vm(named: reference)
        guard let found else { throw Fault.notFound("VM", reference) }
        return found
    }

    /// A host that is not deleted.
    func resolveHost(_ reference: String) throws -> Host {
        let found = try HostID(reference).map { try host($0) } ?? host(named: reference)
        guard let found, found.deletedAt == nil else { throw Fault.notFound("host", reference) }
        return found
    }

    func resolveImage(_ reference: String) throws -> Image {
        let found = try ImageID(reference).map { try image($0) } ?? image(named: reference)
        guard let found else { throw Fault.notFound("image", reference) }
        return found
    }

    func resolveJob(_ reference: String, _ purpose: JobKind.Purpose) throws -> Job {
        let what = purpose == .operation ? "operation" : "GC job"
        guard let id = JobID(reference), let found = try job(id), found.kind.purpose == purpose else {
            throw Fault.notFound(what, reference)
        }
        return found
    }

    /// How `roost host fence` finds the host: by name, or, once it is deleted, by id.
    func fenceReference(of id: HostID) throws -> String {
        guard let host = try host(id), host.deletedAt == nil else { return id.rawValue }
        return host.name
    }

    /// A host's name for people; its id if the record is gone.
    func hostName(_ id: HostID) throws -> String { try host(id)?.name ?? id.rawValue }
}
