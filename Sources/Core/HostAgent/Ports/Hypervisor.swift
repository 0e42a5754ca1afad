package import Domain

/// libvirt on this host, as the agent needs it.
///
/// Every method asks libvirt; none answers from memory. `unreachable` means *cannot see*, which is never *not there*.
package protocol Hypervisor: Sendable {
    /// How guests run here, and why so. Probed once.
    func facts() async throws(HypervisorError) -> HypervisorFacts
    /// CPUs and memory (MiB) of this host.
    func capacity() async throws(HypervisorError) -> (cpus: Int, memory: Int)
    /// All of Roost's domains. One whose metadata cannot be read is listed without its epoch.
    func domains() async throws(HypervisorError) -> [ObservedDomain]
    /// The same domains, each with its name and size.
    func heldDomains() async throws(HypervisorError) -> [HeldDomain]
    /// The domain of `vm`, or nil when libvirt answered that there is none.
    func domain(of vm: VMID) async throws(HypervisorError) -> ObservedDomain?
    /// Creates and starts a transient domain whose metadata carries the epoch. On an error no domain is left.
    func start(_ spec: DomainSpec) async throws(HypervisorError)
    /// Presses the guest's power button (ACPI); returns at once.
    func pressPowerButton(of vm: VMID) async throws(HypervisorError)
    /// Pauses, resumes or resets the domain; a guest that is so already stays so. A reboot only presses the guest's power
    /// button, in such a way that it boots anew when it obeys; `rebooted` is told then. `noDomain` when there is none.
    func control(_ control: GuestControl, of vm: VMID) async throws(HypervisorError)
    /// Moves the domain to the host behind the sockets of `migration`, and returns when it is whole there, paused, and gone
    /// here. One that turns to post-copy goes on there at once.
    ///
    /// When it throws, what the domain does has to be looked at: mostly it goes on here.
    func migrate(_ migration: DomainMigration) async throws(HypervisorError)
    /// How far the move of the domain has come; nil when none is under way.
    func migrationProgress(of vm: VMID) async throws(HypervisorError) -> MigrationProgress?
    /// Breaks the domain's move off; nothing happens when none is under way.
    func cancelMigration(of vm: VMID) async throws(HypervisorError)
    /// Lets the moving domain go on at its destination now.
    func beginPostCopy(of vm: VMID) async throws(HypervisorError)
    /// Changes what the live domain's metadata says of its epoch; events tell of it under the new one from then on.
    func setEpoch(_ epoch: Epoch, of vm: VMID) async throws(HypervisorError)
    /// Ends the domain at once. `noDomain` when there is none.
    func cutPower(of vm: VMID) async throws(HypervisorError)
    /// The QEMU process of `vm` as it is at this moment, found without libvirt; nil when there is none.
    func process(of vm: VMID) async throws(HypervisorError) -> (any GuestProcess)?
    /// What happens to Roost's domains, and to the connection, from now on. One consumer.
    func events() -> AsyncStream<HypervisorEvent>
}

/// One QEMU process and no later one, whatever its number is used for by then.
package protocol GuestProcess: Sendable {
    /// Kills it and returns when it is gone; at once when it is gone already.
    func kill() async throws(HypervisorError)
}

package enum HypervisorError: Error, Hashable, Sendable {
    /// libvirt does not answer: nothing can be said about any domain.
    case unreachable(String)
    /// libvirt answered that there is no such domain.
    case noDomain
    /// libvirt answered with an error.
    case failed(String)
}

package enum HypervisorEvent: Hashable, Sendable {
    /// `epoch` is nil when it could not be read; an inventory is due then.
    case changed(VMID, Epoch?, DomainState)
    /// The guest has booted anew in its domain, by itself or because it was told to.
    case rebooted(VMID)
    /// The connection is there (again): an inventory is due.
    case connected
    /// The connection is lost: nothing can be seen.
    case disconnected(String)
}

/// A domain to be started.
package struct DomainSpec: Hashable, Sendable {
    package let vm: VMID
    package let epoch: Epoch
    package let name: String
    package let cpus: Int
    package let memory: Int  // MiB
    package let boot: BootFiles
    /// Where QEMU writes what the guest says on its serial console; appended to.
    package let consoleLog: String

    package init(
        vm: VMID, epoch: Epoch, name: String, cpus: Int, memory: Int, boot: BootFiles, consoleLog: String
    ) {
        self.vm = vm
        self.epoch = epoch
        self.name = name
        self.cpus = cpus
        self.memory = memory
        self.boot = boot
        self.consoleLog = consoleLog
    }
}

/// A move of a live domain.
package struct DomainMigration: Hashable, Sendable {
    package let vm: VMID
    /// What the domain's metadata says from its arrival on.
    package let arrivalEpoch: Epoch
    package let landing: MigrationLanding
    package let options: MigrationOptions
    package let sockets: MigrationSockets
    /// Begins in such a way that `beginPostCopy` can follow.
    package var turnsToPostCopy = false

    package init(
        vm: VMID, arrivalEpoch: Epoch, landing: MigrationLanding, options: MigrationOptions, sockets: MigrationSockets
    ) {
        self.vm = vm
        self.arrivalEpoch = arrivalEpoch
        self.landing = landing
        self.options = options
        self.sockets = sockets
    }
}
