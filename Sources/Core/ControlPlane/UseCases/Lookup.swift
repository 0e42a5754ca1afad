package import Domain

/// Resources are addressed by id or by their unique name.
extension Transaction {
    /// A VM by its id, whatever its state, or the living one of this name: neither destroyed nor being expunged.
    ///
    /// - Parameter orDestroyed: without a living one, the only other one of this name will do.
    func resolveVM(_ reference: String, orDestroyed: Bool = false) throws -> VM {
        if let id = VMID(reference) {
            guard let found = try vm(id) else { throw Fault.notFound("VM", reference) }
            return found
        }
        if let found = try vm(named: reference) { return found }
        let past = try destroyedVMs(named: reference, limit: 4)
        guard orDestroyed, let found = past.first else {
            throw Fault(
                .notFound, .notFound, "There is no VM '\(reference)'.",
                hint: past.first.map { "One of this name is \($0.state.label.rawValue): roost vm show \($0.id)." })
        }
        guard past.count == 1 else {
            let ids = past.prefix(3).map(\.id.rawValue).joined(separator: ", ") + (past.count > 3 ? " …" : "")
            throw Fault(
                .conflict, .nameAmbiguous, "Several destroyed VMs have the name '\(reference)'.",
                hint: "Use the id of the one you mean: \(ids).")
        }
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
