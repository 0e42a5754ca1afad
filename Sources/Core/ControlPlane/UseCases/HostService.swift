package import Domain

/// What operators ask of hosts.
package struct HostService: Sendable {
    let context: Context
    let secrets: any SecretSource

    package init(_ context: Context, secrets: any SecretSource) {
        self.context = context
        self.secrets = secrets
    }

    /// Records a host and makes the token with which its agent joins. Asked again under the same key, the host is the same
    /// and the token a fresh one, because the first is not kept; the first is void then.
    package func add(_ name: String, by caller: Caller) async throws -> NewHost {
        let name = try Name.checked(name)
        let id = HostID(from: context.ids)
        let secret = try secrets.joinSecret()
        let settings = context.settings
        return try await context.database.write("host.add") { tx in
            if let earlier = try tx.remembered(caller) {
                let host = try tx.resolveHost(earlier)
                try tx.revokeJoinTokens(of: host.id)
                return try tx.makeJoinToken(secret, for: host.id, named: host.name, settings)
            }
            try tx.insert(Host(id: id, name: name, createdAt: tx.now, updatedAt: tx.now))
            try tx.append(
                Event(
                    kind: "host.added", host: id, message: "Host \(name) is added.",
                    principal: caller.principal.name))
            try tx.remember(caller, resource: id.rawValue)
            return try tx.makeJoinToken(secret, for: id, named: name, settings)
        }
    }

    /// Makes a new join token and ends those that were not used. The host's present certificate stays good.
    package func renewJoinToken(_ reference: String, by caller: Caller) async throws -> NewHost {
        let secret = try secrets.joinSecret()
        let settings = context.settings
        return try await context.database.write("host.token") { tx in
            let earlier = try tx.remembered(caller)
            let host = try tx.resolveHost(earlier ?? reference)
            if earlier == nil {
                try caller.check(revision: host.revision)
                try tx.remember(caller, resource: host.id.rawValue)
            }
            try tx.revokeJoinTokens(of: host.id)
            try tx.append(
                Event(
                    kind: "host.token", host: host.id, message: "Host \(host.name) has a new join token.",
                    principal: caller.principal.name))
            return try tx.makeJoinToken(secret, for: host.id, named: host.name, settings)
        }
    }

    package func host(_ reference: String) async throws -> HostView {
        try await context.database.read { tx in try tx.view(of: tx.resolveHost(reference)) }
    }

    package func hosts(_ query: ListQuery) async throws -> ListPage<HostView> {
        try await context.database.read { tx in
            let page = try tx.hosts(query)
            return ListPage(items: try page.items.map { try tx.view(of: $0) }, next: page.next)
        }
    }

    /// Says whether the host takes new VMs. Those that run on it are left alone, and a drain of it ends.
    package func setState(_ state: Host.AdminState, of reference: String, by caller: Caller) async throws -> HostView {
        try await context.database.write("host.state") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.view(ofHost: earlier) }
            let host = try tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            try tx.remember(caller, resource: host.id.rawValue)
            guard host.state != state else { return try tx.view(of: host) }
            return try tx.view(of: tx.setState(state, of: host, by: caller.principal))
        }
    }

    /// Ends the host's session; its agent dials in again with a fresh hello and a whole inventory.
    package func reconnect(_ reference: String, by caller: Caller) async throws -> HostView {
        let (host, isRepeat) = try await context.database.write("host.reconnect") { tx in
            if let earlier = try tx.remembered(caller) { return (try tx.resolveHost(earlier), true) }
            let host = try tx.resolveHost(reference)
            try caller.check(revision: host.revision)
            try tx.remember(caller, resource: host.id.rawValue)
            try tx.append(
                Event(
                    kind: "host.reconnect", host: host.id, message: "Host \(host.name) is asked to reconnect.",
                    principal: caller.principal.name))
            return (host, false)
        }
        if !isRepeat { await context.sessions.disconnect(host.id, reason: "an operator asked for it") }
        return try await self.host(host.id.rawValue)
    }
}

/// A host just added, with the secret of its join token.
package struct NewHost: Sendable {
    package let id: HostID
    package let name: String
    /// The whole token, as the agent takes it.
    package let joinToken: String
    package let expiresAt: Timestamp
    /// The line to run on the host.
    package let command: String
}

package struct HostView: Sendable {
    package let host: Host
    package let allocated: Allocation
    /// Live domains on the host that no placement owns.
    package let sightings: [Sighting]
}

/// Makes join tokens; implemented where certificates are.
package protocol SecretSource: Sendable {
    func joinSecret() throws -> JoinSecret
}

/// A fresh join token and what the database keeps of it.
package struct JoinSecret: Sendable {
    package let token: String
    /// Lower-case hex of the secret's SHA-256.
    package let hash: String

    package init(token: String, hash: String) {
        self.token = token
        self.hash = hash
    }
}

extension Transaction {
    /// Writes the host's new state, and tells of it. A drain that is open is over unless the host is in maintenance.
    func setState(_ state: Host.AdminState, of host: Host, by principal: Principal) throws -> Host {
        var next = host
        next.state = state
        let stored = try replace(next, atRevision: host.revision)
        switch state {
        case .enabled, .disabled: if let drain = try openDrain(of: host.id) { try end(drain, as: .lifted) }
        case .maintenance: break
        }
        // It may take what others are to get rid of.
        try wakeDrains()
        try append(
            Event(
                kind: "host.\(state.rawValue)", host: host.id, message: "Host \(host.name) is \(state.rawValue).",
                principal: principal.name))
        return stored
    }

    func view(of host: Host) throws -> HostView {
        HostView(
            host: host, allocated: try allocated(on: host.id), sightings: try sightings(on: host.id))
    }

    /// The answer to a request about this host that is repeated; also once the host is deleted.
    func view(ofHost id: String) throws -> HostView {
        guard let host = try host(HostID(trusted: id)) else { throw Fault.notFound("host", id) }
        return try view(of: host)
    }

    fileprivate func makeJoinToken(
        _ secret: JoinSecret, for host: HostID, named name: String, _ settings: ControlSettings
    ) throws -> NewHost {
        let expiresAt = now.adding(settings.joinTokenLifetime)
        try insertJoinToken(JoinToken(hash: secret.hash, host: host, expiresAt: expiresAt, usedBy: nil))
        return NewHost(
            id: host, name: name, joinToken: secret.token, expiresAt: expiresAt,
            command: "roost-agent --server \(settings.agentAddress) --join \(secret.token)")
    }
}
