import Domain
import Testing

@Suite struct LabelsTests {
    @Test(arguments: [
        "a", "zone", "A.b_c-9", "example.com/zone", "x/" + String(repeating: "k", count: 63),
        String(repeating: "k", count: 63),
    ])
    func `a key of the allowed form is taken`(_ key: String) throws {
        #expect(try Labels([key: "v"], field: "labels").values == [key: "v"])
    }

    @Test(arguments: [
        "", "/a", "a/", "a/b/c", "-a", "a-", "a b", "ä", "a=b", "A.com/x", "-a.com/x", "a..b/x", "a\"", "a,b",
        String(repeating: "k", count: 64), String(repeating: "p", count: 254) + "/k",
    ])
    func `a key that breaks the rules is refused by field`(_ key: String) {
        let fault = #expect(throws: Fault.self) { try Labels([key: "v"], field: "placement.affinity") }
        #expect(fault?.field == "placement.affinity")
        #expect(fault?.hint != nil)
    }

    @Test(arguments: ["", "a", "1.2", "A_b", String(repeating: "v", count: 63)])
    func `a value of the allowed form is taken`(_ value: String) throws {
        #expect(try Labels(["k": value], field: "labels").values["k"] == value)
    }

    @Test(arguments: ["-", "a-", ".a", "a b", "a/b", "ü", "a\n", "\"", String(repeating: "v", count: 64)])
    func `a value that breaks the rules is refused by field`(_ value: String) {
        let fault = #expect(throws: Fault.self) { try Labels(["k": value], field: "labels") }
        #expect(fault?.field == "labels")
        #expect(fault?.message.contains("'k'") == true)
    }

    @Test func `there are at most 64 labels, also after a change`() throws {
        let many = Dictionary(uniqueKeysWithValues: (1...64).map { ("k\($0)", "") })
        let full = try Labels(many, field: "labels")
        #expect(throws: Fault.self) { try full.applying(LabelPatch(changes: ["one-more": "x"])) }
        #expect(try full.applying(LabelPatch(changes: ["k1": nil, "one-more": "x"])).values.count == 64)
    }

    @Test func `a change sets, replaces and removes, and removing what is not there changes nothing`() throws {
        let labels = Labels(trusted: ["a": "1", "b": "2"])
        #expect(
            try labels.applying(LabelPatch(changes: ["a": "3", "c": "4"])).values == ["a": "3", "b": "2", "c": "4"])
        #expect(try labels.applying(LabelPatch(changes: ["b": nil, "z": nil])).values == ["a": "1"])
        #expect(try labels.applying(.removeAll).isEmpty)
        #expect(throws: Fault.self) { try labels.applying(LabelPatch(changes: ["b ": nil])) }
    }

    @Test func `labels are read from a filter's text`() throws {
        #expect(try Labels(parsing: "a=1,example.com/b=", field: "label").values == ["a": "1", "example.com/b": ""])
        for text in ["", "a", "a=1,", "a=1,a=2", "=1", "a=b=c"] {
            let fault = #expect(throws: Fault.self) { try Labels(parsing: text, field: "label") }
            #expect(fault?.field == "label", "\(text)")
        }
    }
}
