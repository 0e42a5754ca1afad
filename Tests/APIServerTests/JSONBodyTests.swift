import Domain
import Testing

@testable import APIServer

@Suite struct JSONBodyTests {
    private static let name = BodyField<String>.name("name", "")
    private static let memory = BodyField<Int>.integer("memory", in: 16...16_777_216, of: "MiB", isRequired: true, "")
    private static let mode = BodyField<StopMode>.choice("mode", "")
    private static let leave = BodyField<Bool>.flag("defer", "")
    private static let words = BodyField<String>.text("words", upTo: 8, "")
    private static let shape = BodyShape("Test", [name, memory, mode, leave, words])
    private static let optional = BodyShape("Optional", [mode, leave])

    private func body(_ text: String, _ shape: BodyShape = Self.shape) throws -> JSONBody {
        try JSONBody(Array(text.utf8), shape: shape)
    }

    private func fault(_ read: () throws -> Void) -> Fault? { #expect(throws: Fault.self) { try read() } }

    @Test func `an unknown field is named, with those that are known`() {
        let found = fault { _ = try body(#"{"nmae":"a"}"#) }
        #expect(found?.field == "nmae")
        #expect(found?.status == 400)
        #expect(found?.hint == "It takes name, memory, mode, defer, words.")
    }

    @Test(arguments: ["0", "15", "16777217", "1000000000000", "1.5", "1e3", "\"64\"", "true", "[]", "{}", "-1"])
    func `a number that is none or out of range is refused with what it must be`(_ text: String) throws {
        let read = try body("{\"memory\":\(text)}")
        let found = fault { _ = try read.require(Self.memory) }
        #expect(found?.message == "memory: must be a whole number of MiB from 16 to 16777216.")
        #expect(found?.code == .invalidField)
        #expect(found?.field == "memory")
    }

    @Test(arguments: [
        "", "A", "a_b", "-a", "a-", "ä", String(repeating: "a", count: 300), "a b",
        "00000000-0000-4000-8000-000000000000",
    ])
    func `a name that breaks the rules is refused`(_ text: String) throws {
        let read = try body("{\"name\":\"\(text)\"}")
        #expect(fault { _ = try read.require(Self.name) }?.field == "name")
    }

    @Test func `a wrong type, a missing field and a null are told apart from values`() throws {
        let read = try body(#"{"name":7,"defer":"yes","mode":"soft","memory":null,"words":"123456789"}"#)
        #expect(fault { _ = try read.require(Self.name) }?.message == "name: must be a name.")
        #expect(fault { _ = try read.optional(Self.leave) }?.message == "defer: must be true or false.")
        #expect(fault { _ = try read.optional(Self.mode) }?.message == "mode: must be one of grace, cold, force.")
        #expect(fault { _ = try read.require(Self.memory) }?.message.hasPrefix("memory: is required") == true)
        #expect(fault { _ = try read.optional(Self.words) }?.field == "words")
        #expect(fault { _ = try body(#"{"words":"a\u0000"}"#).optional(Self.words) }?.field == "words")
        #expect(try body("{}").optional(Self.mode) == nil)
    }

    @Test(arguments: [
        "[]", "\"a\"", "1", "null", "{\"name\":\"a\"", "{\"name\":\"a\"}}", "{\"name\":\"a\",\"name\":\"b\"}",
    ])
    func `a body that is no JSON object is refused`(_ text: String) {
        #expect(fault { _ = try body(text) }?.code == .invalidBody)
    }

    @Test func `no body at all will do where no field is required`() throws {
        #expect(try body("", Self.optional).optional(Self.mode) == nil)
        #expect(fault { _ = try body("") }?.code == .invalidBody)
    }
}
