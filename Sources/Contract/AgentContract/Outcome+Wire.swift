package import Domain

extension WireOutcome {
    package init(_ outcome: CommandOutcome) {
        self.init()
        switch outcome {
        case .done(let result): kind = .done(WireResult(result))
        case .rejected(let fault): kind = .rejected(WireFault(fault))
        case .failed(let fault): kind = .failed(WireFault(fault))
        }
    }
}

extension CommandOutcome {
    package init(reading wire: WireOutcome) throws(UnreadableMessage) {
        switch wire.kind {
        case .done(let result): self = .done(try CommandResult(reading: result))
        case .rejected(let fault): self = .rejected(try Fault(reading: fault))
        case .failed(let fault): self = .failed(try Fault(reading: fault))
        case nil: throw UnreadableMessage("an outcome of an unknown kind")
        }
    }
}

extension WireResult {
    fileprivate init(_ result: CommandResult) {
        self.init()
        effect =
            switch result.effect {
            case .started: .started
            case .stopped: .stopped
            case .notFound: .notFound
            case .destroyed: .destroyed
            case .paused: .paused
            case .resumed: .resumed
            case .reset: .reset
            case .rebooted: .rebooted
            case .prepared: .prepared
            case .migrated: .migrated
            case .landed: .landed
            case .cancelling: .cancelling
            case .adopted: .adopted
            case .released: .released
            }
        sequence = result.sequence
        if let landing = result.landing { self.landing = WireMigrationLanding(landing) }
    }
}

extension CommandResult {
    fileprivate init(reading wire: WireResult) throws(UnreadableMessage) {
        let effect: Effect
        switch wire.effect {
        case .started: effect = .started
        case .stopped: effect = .stopped
        case .notFound: effect = .notFound
        case .destroyed: effect = .destroyed
        case .paused: effect = .paused
        case .resumed: effect = .resumed
        case .reset: effect = .reset
        case .rebooted: effect = .rebooted
        case .prepared: effect = .prepared
        case .migrated: effect = .migrated
        case .landed: effect = .landed
        case .cancelling: effect = .cancelling
        case .adopted: effect = .adopted
        case .released: effect = .released
        case .unspecified, .UNRECOGNIZED: throw UnreadableMessage("command effect \(wire.effect.rawValue)")
        }
        guard (effect == .prepared) == wire.hasLanding else {
            throw UnreadableMessage("the effect \(effect.rawValue) with or without a landing")
        }
        self.init(
            effect: effect, sequence: wire.sequence,
            landing: wire.hasLanding ? try MigrationLanding(reading: wire.landing) : nil)
    }
}
