import APIClient
import Testing

struct ServerSentEventsTests {
    private func events(_ text: String, pieces: Int = .max) -> [ServerSentEvent] {
        var parser = ServerSentEvents()
        var events: [ServerSentEvent] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            events += parser.read(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
        }
        return events
    }

    @Test func `an event has its id, its name and its data`() {
        #expect(
            events("id: 7\nevent: vm.stopping\ndata: {\"id\":7}\n\n")
                == [ServerSentEvent(id: "7", name: "vm.stopping", data: "{\"id\":7}")])
    }

    @Test func `the same bytes give the same events however they are cut`() {
        let text = ": hello\r\n\r\nid: 1\r\ndata: a\r\ndata: ü\r\n\r\nid:2\rdata: c\r\rid: 3\ndata: d\n\n"
        let whole = events(text)
        #expect(whole.map(\.id) == ["1", "2", "3"])
        #expect(whole.map(\.data) == ["a\nü", "c", "d"])
        for size in 1...9 { #expect(events(text, pieces: size) == whole) }
    }

    @Test func `an event that the stream breaks off is not given out`() {
        #expect(events("id: 1\ndata: a\n\nid: 2\ndata: b\n").map(\.data) == ["a"])
    }

    @Test func `comments and unknown fields make no event`() {
        #expect(events(": keep-alive\n\nretry: 100\n\nfoo\n\n").isEmpty)
    }

    @Test func `the id of an event holds for those after it that have none`() {
        #expect(events("id: 4\ndata: a\n\ndata: b\n\n").map(\.id) == ["4", "4"])
    }

    @Test func `the name of an event does not hold for the next`() {
        #expect(events("event: x\ndata: a\n\ndata: b\n\n").map(\.name) == ["x", "message"])
    }

    @Test func `one space after the colon is not part of the value`() {
        #expect(events("data:  a\n\ndata\n\n").map(\.data) == [" a", ""])
    }

    @Test func `a byte order mark at the start is skipped`() {
        #expect(events("\u{FEFF}data: a\n\n").map(\.data) == ["a"])
    }
}
