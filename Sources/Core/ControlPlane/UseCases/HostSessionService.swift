package import Domain

/// What agents' sessions do to the records.
package struct HostSessionService: HostSessionObserver {
    let context: Context

    package init(_ context: Context) { self.context = context }

    package func open(_ hello: AgentHello) async throws -> SessionGrant {
        let node = context.node.id
        return try await context.database.write("session.open") { tx in
            try tx.note(hello)
            var host = try tx.admitted(hello.host)
            host.session += 1
            host.connection = .connecting
            host.node = node
            host.lastSeenAt = tx.now
            host.highestEpoch = max(host.highestEpoch, hello.highestEpoch)
            let stored = try tx.replace(host, atRevision: host.revision)
            return SessionGrant(host: host.id, session: stored.session, point: try tx.recordPoint())
        }
    }

    package func established(_ grant: SessionGrant, hello: AgentHello, inventory: Inventory) async throws {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("session.established") { tx in
            var host = try tx.current(grant.host, session: grant.session, .connecting)
            let isReboot = host.note(inventory)
            host.connection = .connected
            host.facts = hello.facts
            host.lastSeenAt = tx.now
            let wasAwaited = host.isAwaited
            if inventory.isComplete { tx.noteHeard(&host) }
            _ = try tx.replace(host, atRevision: host.revision)
            try tx.append(
                Event(
                    kind: "host.connected", host: host.id,
                    message: "Host \(host.name) is connected (session \(grant.session) with \(settings.node))."))
            let movedAway = try tx.reconcile(inventory, of: host.id, session: grant.session, isReboot: isReboot)
            for vm in try tx.sightings(on: host.id).map(\.vm) + movedAway { try tx.takeUp(vm, ids, settings) }
            if wasAwaited { try tx.settleRestored() }
            _ = try tx.wakeJobs(on: host.id)
            try tx.wakeDrains()
        }
    }

    package func received(_ inventory: Inventory, from host: HostID, session: Int64) async throws {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("session.inventory") { tx in
            var host = try tx.current(host, session: session, .connected)
            let isBack = inventory.libvirtAnswered && !host.libvirtAnswers
            let isReboot = host.note(inventory)
            host.lastSeenAt = tx.now
            let wasAwaited = host.isAwaited
            if inventory.isComplete { tx.noteHeard(&host) }
            _ = try tx.replace(host, atRevision: host.revision)
            let movedAway = try tx.reconcile(inventory, of: host.id, session: session, isReboot: isReboot)
            for vm in try tx.sightings(on: host.id).map(\.vm) + movedAway { try tx.takeUp(vm, ids, settings) }
            if wasAwaited { try tx.settleRestored() }
            if isBack {
                _ = try tx.wakeJobs(on: host.id)
                try tx.wakeDrains()
            }
        }
    }

    package func received(_ change: DomainChange, from host: HostID, session: Int64) async throws {
        let (ids, settings) = (context.ids, context.settings)
        try await context.database.write("session.change") { tx in
            _ = try tx.current(host, session: session, .connected)
            let report = DomainReport(
                vm: change.vm, epoch: change.epoch, state: change.state, host: host,
                observation: Observation(session: session, sequence: change.sequence), isEvent: true)
            try tx.apply(report)
            try tx.takeUp(change.vm, ids, settings)
        }
    }

    package func received(
        _ progress: MigrationProgress, of vm: VMID, _ epoch: Epoch, from host: HostID, session: Int64
    ) async throws {
        try await context.database.write("session.progress") { tx in
            _ = try tx.current(host, session: session, .connected)
            guard let id = try tx.vm(vm)?.operation, var job = try tx.job(id), !job.state.isEnded,
                job.kind == .migrateOperation, job.placement == Placement(host: host, epoch: epoch)
            else { return }
            job.payload.progress = progress
            _ = try tx.replace(job, atRevision: job.revision)
        }
    }

    package func lostSight(of host: HostID, session: Int64) async throws {
        try await context.database.write("session.lost-sight") { tx in
            var host = try tx.current(host, session: session, .connected)
            guard host.libvirtAnswers else { return }
            host.libvirtAnswers = false
            _ = try tx.replace(host, atRevision: host.revision)
            try tx.append(
                Event(
                    kind: "host.libvirt-unavailable", host: host.id,
                    message: "libvirt on host \(host.name) does not answer."))
            try tx.loseSight(of: host.id, .libvirtUnavailable)
        }
    }

    package func closed(_ host: HostID, session: Int64, reason: String) async throws {
        try await context.database.write("session.closed") { tx in
            guard var host = try tx.host(host), host.session == session, host.connection != .disconnected else {
                return
            }
            host.connection = .disconnected
            host.node = nil
            _ = try tx.replace(host, atRevision: host.revision)
            try tx.append(
                Event(
                    kind: "host.disconnected", host: host.id, message: "Host \(host.name) is disconnected: \(reason)."))
            try tx.loseSight(of: host.id, .hostDisconnected)
        }
    }

    package func redeemJoinToken(secretHash: String, publicKey: String) async throws -> HostID {
        try await context.database.write("host.join") { tx in
            guard let token = try tx.joinToken(hash: secretHash) else {
                throw Fault.badToken("The join token is not known here.")
            }
            let host = try tx.admitted(token.host)
            if let user = token.usedBy {
                // The agent may have died before it stored its certificate: the same key may ask again.
                guard user == publicKey else { throw Fault.badToken("The join token was used already.") }
                return host.id
            }
            guard tx.now < token.expiresAt else { throw Fault.badToken("The join token has expired.") }
            guard try tx.useJoinToken(hash: secretHash, publicKey: publicKey) else {
                throw Fault.badToken("The join token was used already.")
            }
            try tx.append(Event(kind: "host.joined", host: host.id, message: "Host \(host.name) has joined."))
            return host.id
        }
    }

    package func isAdmitted(_ host: HostID) async throws -> Bool {
        try await context.database.read { tx in
            guard let host = try tx.host(host) else { return try tx.mayLackHosts() }
            return host.deletedAt == nil
        }
    }
}

extension Transaction {
    /// An agent that has heard of later records than these tells that these are an older copy.
    fileprivate func note(_ hello: AgentHello) throws {
        var recovery = try recovery()
        if hello.heard > recovery.heard {
            recovery.heard = hello.heard
            try put(recovery)
        }
        guard try hello.heard > recordPoint() else { return }
        let name = try hostName(hello.host)
        try beginRecovery("The agent of host \(name) has heard of later records than these.", isCopy: false)
    }

    /// Whether a host with a certificate may be missing among these records: it may have joined after they were copied.
    fileprivate func mayLackHosts() throws -> Bool {
        let recovery = try recovery()
        return recovery.generation > 0 || recovery.observing != nil
    }

    /// A host's record. One that joined after the records were copied gets a new one, which takes no VMs for now.
    fileprivate func admitted(_ id: HostID) throws -> Host {
        if try host(id) == nil, try mayLackHosts() {
            let name = "restored-\(id.rawValue.prefix(8))"
            try insert(Host(id: id, name: name, state: .disabled, createdAt: now, updatedAt: now))
            try append(
                Event(
                    kind: "host.restored", host: id,
                    message: "Host \(name) has a certificate and no record: it joined after the records were copied."))
        }
        guard let host = try host(id), host.deletedAt == nil else {
            throw Fault(
                .forbidden, .hostDeleted, "This host's record was deleted on the server.",
                hint: "Add it again with roost host add, and join with the new token and an empty data directory.")
        }
        return host
    }

    /// The host, if `session` is still its latest and has come as far as `connection`. What a session told counts for
    /// nothing once it is over: nobody would take it back.
    fileprivate func current(_ id: HostID, session: Int64, _ connection: Host.Connection) throws -> Host {
        let host = try admitted(id)
        guard host.session == session else {
            throw Fault(.conflict, .staleSession, "Session \(session) was replaced by session \(host.session).")
        }
        guard host.connection == connection else {
            throw Fault(.conflict, .staleSession, "Session \(session) is \(host.connection.rawValue).")
        }
        return host
    }
}

extension Host {
    /// Takes in what an inventory says of the host itself; true if the host booted since its VMs were last seen.
    fileprivate mutating func note(_ inventory: Inventory) -> Bool {
        let isReboot = bootID != nil && bootID != inventory.bootID
        libvirtAnswers = inventory.libvirtAnswered
        // Until libvirt answers, the boot in which the VMs were last seen is the one to compare with.
        if inventory.libvirtAnswered || bootID == nil { bootID = inventory.bootID }
        return isReboot
    }
}

extension Fault {
    fileprivate static func badToken(_ message: String) -> Fault {
        Fault(
            .unauthenticated, .joinTokenInvalid, message, hint: "Make a new one on the server: roost host token NAME.")
    }
}
