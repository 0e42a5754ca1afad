import HostAgent
import NIOCore
import NIOPosix

/// Passes on what comes on one connection to another, and ends with it. Both live on one event loop.
final class Splice: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let channel: any Channel
    private var partner: Splice?
    /// What came before there was a partner.
    private var held: [ByteBuffer] = []
    private var isOver = false

    init(_ channel: any Channel) { self.channel = channel }

    static func join(_ left: Splice, _ right: Splice) {
        left.partner = right
        right.partner = left
        left.passHeld()
        right.passHeld()
    }

    private func passHeld() {
        for buffer in held { partner?.take(buffer) }
        held = []
        if isOver { partner?.end() }
    }

    private func take(_ buffer: ByteBuffer) { channel.writeAndFlush(buffer, promise: nil) }

    /// Closes once everything that was taken is on its way: a plain close would drop it.
    private func end() {
        guard channel.isActive else { return channel.close(promise: nil) }
        let channel = channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if let partner { partner.take(buffer) } else { held.append(buffer) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        // What cannot be passed on is not read.
        partner?.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isOver = true
        partner?.end()
        partner = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Reads a connection's first byte, and connects it to what the byte names.
final class DoorHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let targets: [Way: String]
    private let passage: Passage
    private let land: @Sendable (LandingWord) async -> Bool
    private let shut: @Sendable () async -> Void
    private var splice: Splice?
    private var awaitsWord = false

    /// - Parameter shut: called once the guest goes on here: nothing more is to come through the door.
    init(
        targets: [Way: String], passage: Passage, land: @escaping @Sendable (LandingWord) async -> Bool,
        shut: @escaping @Sendable () async -> Void
    ) {
        self.targets = targets
        self.passage = passage
        self.land = land
        self.shut = shut
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if splice != nil { return context.fireChannelRead(data) }
        var buffer = unwrapInboundIn(data)
        if awaitsWord { return hear(&buffer, context) }
        guard let way = buffer.readInteger(as: UInt8.self).flatMap({ Way(rawValue: $0) }) else {
            return context.close(promise: nil)
        }
        if way == .word {
            awaitsWord = true
            return hear(&buffer, context)
        }
        guard let path = targets[way] else { return context.close(promise: nil) }
        let splice = Splice(context.channel)
        self.splice = splice
        do { try context.pipeline.syncOperations.addHandler(splice) } catch { return context.close(promise: nil) }
        if buffer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(buffer)) }
        open(path, for: splice, context)
    }

    private func hear(_ buffer: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard let byte = buffer.readInteger(as: UInt8.self) else { return }
        guard let word = LandingWord(rawValue: byte) else { return context.close(promise: nil) }
        let (channel, land, shut) = (context.channel, land, shut)
        // What has been said is carried out, also when the connection ends meanwhile.
        Task {
            let goesOn = await land(word)
            try? await channel.writeAndFlush(ByteBuffer(bytes: [goesOn ? 1 : 0]))
            try? await channel.close()
            if goesOn { await shut() }
        }
    }

    private func open(_ path: String, for splice: Splice, _ context: ChannelHandlerContext) {
        let near = NIOLoopBound(splice, eventLoop: context.eventLoop)
        let channel = context.channel
        let passage = passage
        ClientBootstrap(group: context.eventLoop)
            .channelInitializer { inner in
                inner.eventLoop.makeCompletedFuture {
                    passage.add(inner)
                    let far = Splice(inner)
                    try inner.pipeline.syncOperations.addHandler(far)
                    Splice.join(near.value, far)
                }
            }
            .connect(unixDomainSocketPath: path)
            .whenFailure { _ in channel.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Reads the one byte with which a word is answered. A connection that ends without it has not answered.
final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let answer: EventLoopPromise<Bool>

    init(_ answer: EventLoopPromise<Bool>) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer.succeed(unwrapInboundIn(data).readableBytesView.first == 1)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer.fail(TunnelFailure("the connection ended before the answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        answer.fail(error)
        context.close(promise: nil)
    }
}
