import Domain
import HostAgent
import Testing

@Suite struct MigrationTests {
    private let host = FakeHost()
    private let other = HostID(trusted: "bbbbbbbb-0000-4000-8000-000000000002")
    private let image = ImageSource(
        id: ImageID(trusted: "dddddddd-0000-4000-8000-000000000004"), kind: .disk, commandLine: "", files: [])

    private func prepare(_ epoch: Epoch, copiesStorage: Bool = false) -> HostCommand {
        .prepareMigration(
            PrepareMigrationCommand(
                vm: someVM, epoch: epoch, source: other, image: image, copiesStorage: copiesStorage))
    }

    private func landing(_ type: String = "qemu") -> MigrationLanding {
        MigrationLanding(
            address: "10.0.0.12", port: 4711, domainType: type, boot: .disk("/there"), consoleLog: "/there.log",
            socketDirectory: "/run/moves/\(someVM)")
    }

    private func migrate(
        _ epoch: Epoch, type: String = "qemu", _ options: MigrationOptions = MigrationOptions()
    ) -> HostCommand {
        .migrate(
            MigrateVMCommand(
                vm: someVM, epoch: epoch, destination: other, arrivalEpoch: epoch.next, landing: landing(type),
                options: options))
    }

    private func complete(_ epoch: Epoch, resumes: Bool = true) -> HostCommand {
        .completeMigration(CompleteMigrationCommand(vm: someVM, epoch: epoch, resumes: resumes))
    }

    private func end(_ epoch: Epoch) -> HostCommand { stop(.force, epoch, ignoreNotFound: true) }

    // MARK: At the destination

    @Test func `a prepared host says where it awaits the guest, and lets no start of that epoch through`() async throws
    {
        let agent = host.agent()
        let outcome = try await agent.execute(prepare(Epoch(2)), id: commandID(1))
        #expect(
            outcome
                == .done(
                    CommandResult(
                        effect: .prepared, sequence: 1,
                        landing: MigrationLanding(
                            address: "10.0.0.12", port: 4711, domainType: "qemu",
                            boot: .disk("/pool/\(someVM).qcow2"), consoleLog: "/console/\(someVM).log",
                            socketDirectory: "/run/moves/\(someVM)"))))
        #expect(host.with { $0.doors } == [someVM: Epoch(2)])
        #expect(host.mark() == EpochMark(highest: Epoch(2), closed: .none))
        #expect(try await agent.execute(start(Epoch(2)), id: commandID(2)).rejection == .staleEpoch)
        // Asked again, also by a server that forgot: the same place.
        #expect(try await agent.execute(prepare(Epoch(2)), id: commandID(1)) == outcome)
    }

    @Test(arguments: [EpochMark(highest: Epoch(2), closed: .none), EpochMark(highest: Epoch(3), closed: Epoch(2))])
    func `an epoch that was seen here is not prepared`(mark: EpochMark) async throws {
        host.mark(mark)
        #expect(try await host.agent().execute(prepare(Epoch(2)), id: commandID(1)).rejection == .staleEpoch)
        #expect(host.with { $0.doors }.isEmpty)
        #expect(host.mark() == mark)
    }

    @Test func `a host that has a domain of the VM is not prepared`() async throws {
        host.show(Epoch(1))
        #expect(try await host.agent().execute(prepare(Epoch(2)), id: commandID(1)).rejection == .staleEpoch)
        host.show(nil)
        #expect(try await host.agent().execute(prepare(Epoch(2)), id: commandID(2)).rejection == .epochConflict)
        #expect(host.with { $0.doors }.isEmpty)
    }

    @Test func `a stop of the epoch ends the waiting, and one of an older epoch does not`() async throws {
        let agent = host.agent()
        _ = try await agent.execute(prepare(Epoch(5)), id: commandID(1))
        _ = try await agent.execute(end(Epoch(3)), id: commandID(2))
        #expect(host.with { $0.doors } == [someVM: Epoch(5)])
        _ = try await agent.execute(end(Epoch(5)), id: commandID(3))
        #expect(host.with { $0.doors }.isEmpty)
        #expect(host.mark() == EpochMark(highest: Epoch(5), closed: Epoch(5)))
    }

    @Test func `what a copied disk would shine through is removed first`() async throws {
        _ = try await host.agent().execute(prepare(Epoch(2)), id: commandID(1))
        #expect(host.with { $0.removed }.isEmpty)
        _ = try await host.agent().execute(prepare(Epoch(3), copiesStorage: true), id: commandID(2))
        #expect(host.with { $0.removed } == [someVM])
    }

    @Test func `a host that cannot be prepared says why and awaits nobody`() async throws {
        host.with { $0.prepareFault = Fault(.unavailable, .commandFailed, "no space left") }
        let outcome = try await host.agent().execute(prepare(Epoch(2)), id: commandID(1))
        #expect(outcome.failure?.message == "no space left")
        #expect(host.with { $0.doors }.isEmpty)
        #expect(host.mark() == EpochMark(highest: Epoch(2), closed: Epoch(2)))
    }

    @Test(arguments: [LandingWord.resume, .stayPaused])
    func `a guest that arrives goes on by its source's word, if it ran there`(word: LandingWord) async throws {
        let agent = host.agent()
        _ = try await agent.execute(prepare(Epoch(2)), id: commandID(1))
        let land = try #require(host.with { $0.land })
        // Not before it has arrived.
        #expect(await land(word) == false)
        host.show(Epoch(2), .paused)
        #expect(await land(word))
        #expect(host.with { $0.controlled } == (word == .resume ? [.resume] : []))
    }

    @Test func `a word that comes after the server's lets nobody go on who was paused since`() async throws {
        let agent = host.agent()
        _ = try await agent.execute(prepare(Epoch(2)), id: commandID(1))
        let land = try #require(host.with { $0.land })
        host.show(Epoch(2), .paused)
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(2)).effect == .resumed)
        // Said again, it changes nothing.
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(3)).effect == .resumed)
        host.show(Epoch(2), .paused)
        #expect(await land(.resume) == false)
        #expect(host.with { $0.controlled } == [.resume])
    }

    @Test func `only the guest of the epoch goes on, and one that was paused stays so`() async throws {
        let agent = host.agent()
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(1)).rejection == .domainNotFound)
        host.show(Epoch(3), .paused)
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(2)).rejection == .staleEpoch)
        host.show(nil)
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(3)).rejection == .epochConflict)
        host.show(Epoch(2), .moving)
        #expect(try await agent.execute(complete(Epoch(2)), id: commandID(4)).failure != nil)
        host.show(Epoch(2), .paused)
        #expect(try await agent.execute(complete(Epoch(2), resumes: false), id: commandID(5)).effect == .paused)
        #expect(host.with { $0.controlled }.isEmpty)
    }

    @Test(arguments: AgentLife.Moment.allCases)
    func `an agent that dies while it lets a guest go on does so when it is asked again`(
        moment: AgentLife.Moment
    ) async throws {
        host.show(Epoch(2), .paused)
        let life = AgentLife(.deathIn("libvirt.control", moment))
        _ = try? await host.agent(life).execute(complete(Epoch(2)), id: commandID(1))
        #expect(life.isDead)
        #expect(try await host.agent().execute(complete(Epoch(2)), id: commandID(1)).effect == .resumed)
        #expect(host.with { $0.domains[someVM]?.state } == .running)
    }

    // MARK: At the source

    @Test func `a guest that was paused is told of as paused`() async throws {
        host.show(Epoch(1), .paused)
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(1)).effect == .landed)
        #expect(host.with { $0.told } == [.stayPaused])
    }

    @Test func `a guest that left, and whose destination was not told, is left to the server`() async throws {
        host.show(Epoch(1))
        host.with { $0.isHeard = false }
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(1)).effect == .migrated)
    }

    @Test func `the destination hears nothing of a guest that did not leave`() async throws {
        host.show(Epoch(1))
        host.with { $0.moves = [.fails("connection closed")] }
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(1)).failure != nil)
        #expect(host.with { $0.told }.isEmpty)
    }

    @Test(arguments: [false, true])
    func `a guest that libvirt has left halted after its move goes on here`(isRestarted: Bool) async throws {
        host.show(Epoch(1))
        if isRestarted {
            let life = AgentLife(.deathIn("libvirt.migrate", .before))
            _ = try? await host.agent(life).execute(migrate(Epoch(1)), id: commandID(1))
            host.show(Epoch(1), .moving)
        } else {
            host.with { state in
                state.moves = [.fails("connection closed")]
                state.domains[someVM]?.state = .moving
            }
        }
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(1)).failure != nil)
        #expect(host.with { $0.domains[someVM]?.state } == .running)
    }

    @Test func `a guest that has left cannot come up here again`() async throws {
        host.show(Epoch(1))
        let agent = host.agent()
        let outcome = try await agent.execute(migrate(Epoch(1)), id: commandID(1))
        #expect(outcome.effect == .landed)
        #expect(host.with { $0.told } == [.resume])
        let moved = host.with { $0.moved }
        #expect(moved.map(\.arrivalEpoch) == [Epoch(2)])
        #expect(moved.map(\.landing) == [landing()])
        #expect(host.with { $0.connected }.isEmpty)
        #expect(host.mark() == EpochMark(highest: Epoch(1), closed: Epoch(1)))
        #expect(host.with { $0.released } == [someVM])
        #expect(try await agent.execute(start(Epoch(1)), id: commandID(2)).rejection == .staleEpoch)
    }

    @Test func `only the domain of the command's epoch is moved`() async throws {
        host.show(Epoch(3))
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(1)).rejection == .staleEpoch)
        host.hide()
        #expect(try await host.agent().execute(migrate(Epoch(1)), id: commandID(2)).rejection == .domainNotFound)
        #expect(host.with { $0.moved }.isEmpty)
    }

    @Test func `a guest is not moved to a host that runs guests in another way`() async throws {
        host.show(Epoch(1))
        #expect(
            try await host.agent().execute(migrate(Epoch(1), type: "kvm"), id: commandID(1)).rejection
                == .migrationImpossible)
        #expect(host.isLive())
    }

    @Test func `a move that libvirt refuses has failed, and the guest goes on`() async throws {
        host.show(Epoch(1))
        host.with { $0.moves = [.fails("guest CPU does not match")] }
        let outcome = try await host.agent().execute(migrate(Epoch(1)), id: commandID(1))
        #expect(outcome.failure?.message.contains("guest CPU does not match") == true)
        #expect(host.isLive())
        #expect(host.mark().closed == .none)
        #expect(host.with { $0.connected }.isEmpty)
    }

    @Test func `a cancelled move is broken off, though it came before libvirt had begun`() async throws {
        host.show(Epoch(1))
        host.with { $0.isMoveHeld = true }
        host.gates.close("libvirt.moving")
        let agent = host.agent()
        async let move = agent.execute(migrate(Epoch(1)), id: commandID(1))
        let isHeld = await eventually { host.gates.held("libvirt.moving") == 1 }
        #expect(isHeld)
        let cancel = HostCommand.cancelMigration(CancelMigrationCommand(vm: someVM, epoch: Epoch(1)))
        #expect(try await agent.execute(cancel, id: commandID(2)).effect == .cancelling)
        host.gates.open("libvirt.moving")
        #expect(try await move.failure != nil)
        #expect(host.with { $0.movesCancelled } == 1)
        #expect(host.isLive())
        // There is none any more, and there was none of another epoch.
        #expect(try await agent.execute(cancel, id: commandID(3)).rejection == .domainNotFound)
    }

    @Test(arguments: [false, true])
    func `a move whose time is up is given up, or turns to post-copy`(allowsPostCopy: Bool) async throws {
        host.show(Epoch(1))
        host.with { $0.isMoveHeld = true }
        let agent = host.agent()
        async let move = agent.execute(
            migrate(Epoch(1), MigrationOptions(allowsPostCopy: allowsPostCopy, timeout: 5)), id: commandID(1))
        if allowsPostCopy {
            let isTurned = await eventually { host.with { $0.postCopies } > 0 }
            #expect(isTurned)
            host.with { $0.isMoveHeld = false }
            #expect(try await move.effect == .landed)
            #expect(host.with { $0.postCopies } == 1)
            #expect(host.with { $0.moved }.map(\.turnsToPostCopy) == [true])
        } else {
            #expect(try await move.failure != nil)
            #expect(host.with { $0.movesCancelled } == 1)
            #expect(host.isLive())
        }
    }

    @Test func `a move that the agent died in is not begun again`() async throws {
        host.show(Epoch(1))
        let life = AgentLife(.deathIn("libvirt.migrate", .before))
        _ = try? await host.agent(life).execute(migrate(Epoch(1)), id: commandID(1))
        #expect(life.isDead)
        let next = host.agent()
        #expect(await next.settle(commandID(1)).failure != nil)
        #expect(try await next.execute(migrate(Epoch(1)), id: commandID(1)).failure != nil)
        #expect(host.with { $0.moved }.isEmpty)
        #expect(host.isLive())
    }

    @Test func `a move that goes on without its agent has no end yet`() async throws {
        host.show(Epoch(1))
        let life = AgentLife(.deathIn("libvirt.migrate", .before))
        _ = try? await host.agent(life).execute(migrate(Epoch(1)), id: commandID(1))
        host.with { $0.progress = MigrationProgress(processed: 1, total: 2, remaining: 1) }
        let next = host.agent()
        #expect(await next.settle(commandID(1)) == .underWay)
        host.with { $0.progress = nil }
        #expect(await next.settle(commandID(1)).failure != nil)
    }
}

extension AgentSettlement {
    fileprivate var failure: Fault? {
        if case .ended(let outcome) = self { return outcome.failure }
        return nil
    }
}

@Suite struct AdoptTests {
    private let host = FakeHost()
    private let adopt = HostCommand.adopt(AdoptVMCommand(vm: someVM, epoch: Epoch(5), grantedEpoch: Epoch(7)))

    @Test func `a domain that is adopted has the granted epoch, and its old one is over`() async throws {
        host.show(Epoch(5))
        let agent = host.agent()
        #expect(try await agent.execute(adopt, id: first).effect == .adopted)
        #expect(host.epoch() == Epoch(7))
        #expect(host.mark() == EpochMark(highest: Epoch(7), closed: Epoch(5)))
        #expect(try await agent.execute(stop(.force, Epoch(5)), id: second).rejection == .staleEpoch)
        #expect(host.isLive())
    }

    @Test func `only the domain that was found is adopted, and never with an epoch that was seen before`() async throws
    {
        #expect(try await host.agent().execute(adopt, id: commandID(1)).rejection == .domainNotFound)
        host.show(Epoch(6))
        #expect(try await host.agent().execute(adopt, id: commandID(2)).rejection == .staleEpoch)
        host.show(nil)
        #expect(try await host.agent().execute(adopt, id: commandID(3)).rejection == .epochConflict)
        host.show(Epoch(5))
        host.mark(EpochMark(highest: Epoch(8), closed: .none))
        #expect(try await host.agent().execute(adopt, id: commandID(4)).rejection == .staleEpoch)
        #expect(host.epoch() == Epoch(5))
    }

    @Test(arguments: AgentLife.Moment.allCases)
    func `an agent that dies in an adoption finds out how far it came`(moment: AgentLife.Moment) async throws {
        host.show(Epoch(5))
        let life = AgentLife(.deathIn("libvirt.set-epoch", moment))
        _ = try? await host.agent(life).execute(adopt, id: first)
        #expect(life.isDead)
        #expect(try await host.agent().execute(adopt, id: first).effect == .adopted)
        #expect(host.epoch() == Epoch(7))
    }
}
