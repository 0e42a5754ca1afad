import Domain

/// The work of each kind of job.
struct Workflows: WorkflowTable {
    let context: Context
    private let turns: MoveTurns

    init(_ context: Context) {
        self.context = context
        turns = MoveTurns(limit: context.settings.concurrentDrainMoves)
    }

    func workflow(for job: Job) -> any Workflow {
        guard job.unreadable == nil else { return UnreadableJob() }
        return switch job.kind {
        case .startOperation: StartOperation(context: context)
        case .stopOperation: StopOperation(context: context)
        case .pauseOperation: ControlOperation(context: context, control: .pause)
        case .resumeOperation: ControlOperation(context: context, control: .resume)
        case .resetOperation: ControlOperation(context: context, control: .reset)
        case .rebootOperation: ControlOperation(context: context, control: .reboot)
        case .migrateOperation: MigrateOperation(context: context, turns: turns)
        case .destroyOperation: DestroyOperation(context: context)
        case .recoverOperation: RecoverOperation(context: context)
        case .expungeOperation: ExpungeOperation(context: context)
        case .maintainOperation: MaintainOperation(context: context)
        case .stopVM: StopVMJob(context: context)
        case .destroyVM: DestroyVMJob(context: context)
        case .adoptVM: AdoptVMJob(context: context)
        case .deleteVolume: DeleteVolumeJob(context: context)
        case .releasePlacement: ReleasePlacementJob(context: context)
        case .unknownOperation, .unknownGC: UnreadableJob()
        }
    }
}
