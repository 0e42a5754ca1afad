package import Domain

/// What users ask of VMs.
package struct VMService: Sendable {
    let context: Context

    package init(_ context: Context) { self.context = context }

    package static let cpuLimits = 1...1024
    package static let memoryLimits = 16...16_777_216  // MiB

    /// Records a VM; `start` brings it to life.
    package func create(_ new: NewVM, by caller: Caller) async throws -> VMView {
        let name = try Name.checked(new.name)
        try Self.check(cpus: new.cpus, memory: new.memory)
        let id = VMID(from: context.ids)
        return try await context.database.write("vm.create") { tx in
            if let earlier = try tx.remembered(caller) { return try tx.view(of: tx.resolveVM(earlier)) }
            let image = try tx.resolveImage(new.image)
            guard image.isReady else {
                throw Fault(
                    .conflict, .imageNotReady, "Image \(image.name) is not complete.",
                    hint: "Upload its files: \(image.kind.parts.map(\.rawValue).joined(separator: ", ")).")
            }
            let vm = VM(
                id: id, name: name, image: image.id, cpus: new.cpus, memory: new.memory, labels: new.labels,
                rules: new.rules, createdAt: tx.now, updatedAt: tx.now)
            try tx.insert(vm)
            try tx.append(
                Event(
                    kind: "vm.created", vm: id, message: "VM \(name) is created.", principal: caller.principal.name))
            try tx.remember(caller, resource: id.rawValue)
            return try tx.view(of: vm)
        }
    }

    /// Throws unless a VM may have this size.
    static func check(cpus: Int, memory: Int) throws(Fault) {
        guard cpuLimits.contains(cpus) else {
            throw Fault.invalid("cpus", "must be from \(cpuLimits.lowerBound) to \(cpuLimits.upperBound).")
        }
        guard memoryLimits.contains(memory) else {
            throw Fault.invalid("memory", "must be from \(memoryLimits.lowerBound) to \(memoryLimits.upperBound) MiB.")
        }
    }

    package func vm(_ reference: String) async throws -> VMView {
        try await context.database.read { tx in try tx.view(of: tx.resolveVM(reference, orDestroyed: true)) }
    }

    package func vms(_ query: ListQuery) async throws -> ListPage<VMView> {
        try await context.database.read { tx in
            var query = query
            try tx.resolveFilters(&query)
            let page = try tx.vms(query)
            return ListPage(items: try page.items.map { try tx.view(of: $0) }, next: page.next)
        }
    }

    /// The end of what the guest said on its serial console, at most `limit` bytes.
    package func consoleLog(_ reference: String, limit: Int) async throws -> [UInt8] {
        let (vm, host) = try await context.database.read { tx in
            let vm = try tx.resolveVM(reference, orDestroyed: true)
            return (vm, vm.state.placement?.host ?? vm.lastHost)
        }
        guard let host else {
            throw Fault(
                .conflict, .invalidState, "VM \(vm.name) was never started, so it has no console log.",
                hint: "Start it: roost vm start \(vm.name).")
        }
        return try await context.sessions.consoleLog(of: vm.id, on: host, limit: limit)
    }
}

package struct NewVM: Sendable {
    package let name: String
    /// The image's id or name.
    package let image: String
    package let cpus: Int
    package let memory: Int  // MiB
    package let labels: Labels
    package let rules: PlacementRules

    package init(
        name: String, image: String, cpus: Int, memory: Int, labels: Labels = .none, rules: PlacementRules = .none
    ) {
        self.name = name
        self.image = image
        self.cpus = cpus
        self.memory = memory
        self.labels = labels
        self.rules = rules
    }
}

/// A VM's record with what else is known of it.
package struct VMView: Sendable {
    package let vm: VM
    /// Live domains of this VM where none should be.
    package let conflicts: [Sighting]
    /// The host that has to answer before the VM moves on, where one has.
    package let waitingFor: HostWait?
    /// Its jobs that nobody goes on with before somebody has looked after them.
    package let parked: [Job]

    package init(vm: VM, conflicts: [Sighting], waitingFor: HostWait?, parked: [Job] = []) {
        self.vm = vm
        self.conflicts = conflicts
        self.waitingFor = waitingFor
        self.parked = parked
    }
}

package struct HostWait: Hashable, Sendable {
    package let host: HostID
    package let reason: WaitReason
}

extension Transaction {
    func view(of vm: VM) throws -> VMView {
        VMView(
            vm: vm, conflicts: try sightings(of: vm.id), waitingFor: try hostWait(of: vm),
            parked: try parkedJobs(of: vm.id))
    }

    private func hostWait(of vm: VM) throws -> HostWait? {
        if let host = vm.state.waitingHost, let reason = vm.state.waiting {
            return HostWait(host: host, reason: reason)
        }
        if let host = try unheardHost(concerning: vm) { return HostWait(host: host.id, reason: .recordsRestored) }
        // What is left of it is on that host, whether a domain was there last or not.
        guard vm.state == .expunging, let host = vm.lastHost else { return nil }
        return try reasonUnreachable(host).map { HostWait(host: host, reason: $0) }
    }

    /// Lets filters that name a host, VM or image by name find it by id.
    func resolveFilters(_ query: inout ListQuery) throws {
        if let host = query.filters["host"], HostID(host) == nil {
            query.filters["host"] = try resolveHost(host).id.rawValue
        }
        if let vm = query.filters["vm"], VMID(vm) == nil {
            query.filters["vm"] = try resolveVM(vm, orDestroyed: true).id.rawValue
        }
        if let image = query.filters["image"], ImageID(image) == nil {
            query.filters["image"] = try resolveImage(image).id.rawValue
        }
    }
}
