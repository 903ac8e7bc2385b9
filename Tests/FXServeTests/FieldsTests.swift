import FXMapping
import FXSystem
import Testing

@testable import FXServe

@Suite("Fields and codes")
struct FieldsTests {
    private func fields(_ json: String, query: [String: String] = [:]) throws -> Fields {
        try Fields(Array(json.utf8), query: query)
    }

    @Test("Paging comes in the body or the query, and the body wins")
    func paging() throws {
        #expect(try fields("{}").page() == .all)
        #expect(
            try fields("{}", query: ["start": "3", "size": "2", "sort": "DESC"]).page()
                == Page(start: 3, size: 2, sort: "DESC"))
        let both = try fields(#"{"page":{"start":1,"size":7,"sort":"ASC"}}"#, query: ["start": "3", "size": "2"])
        #expect(try both.page() == Page(start: 1, size: 7, sort: "ASC"))
        #expect(try fields(#"{"page":null}"#, query: ["start": "3"]).page() == Page(start: 3, size: nil, sort: nil))
        #expect(try fields(#"{"page":{"start":null}}"#).page() == .all)
    }

    @Test(
        "A page that is none is refused",
        arguments: [
            #"{"page":{"start":-1}}"#, #"{"page":{"size":0}}"#, #"{"page":{"sort":"UP"}}"#, #"{"page":3}"#,
            #"{"page":{"size":"3"}}"#, #"{"page":{"size":1.5}}"#, #"{"page":{"sort":1}}"#,
        ])
    func wrongPages(json: String) throws {
        let fields = try fields(json)
        #expect(throws: (any Error).self) { try fields.page() }
    }

    @Test(
        "A page of the query that is none is refused", arguments: [["start": "x"], ["size": "-1"], ["sort": "up down"]])
    func wrongQueries(query: [String: String]) throws {
        let fields = try fields("{}", query: query)
        #expect(throws: (any Error).self) { try fields.page() }
    }

    @Test("The spellings of the prose and of earlier clients are understood")
    func aliases() throws {
        let old = try fields(
            #"{"filename":"f","relpath":["a"],"showModal":false,"timeoutInSeconds":5,"iniTabsPath":["/srv","x"],"fromType":"t"}"#
        )
        #expect(try old.text(.fileName) == "f")
        #expect(try old.texts(.relPath) == ["a"])
        #expect(try old.flag(.modal) == false)
        #expect(try old.seconds(.timeout) == .seconds(5))
        #expect(try old.localPath(.initPath) == "/srv/x")
        #expect(try old.text(.type) == "t")
    }

    @Test(
        "A body is one JSON object",
        arguments: ["", "[]", "1", "{", "{}{}", "\"a\"", "{\"a\":}", "\u{feff}{}"])
    func bodies(json: String) {
        #expect(throws: Refusal.self) { try fields(json) }
    }

    @Test("Both forms of relPath mean the same", arguments: [["a,b"], ["a", "b"]])
    func relPath(parts: [String]) throws {
        #expect(try Fields(["relPath": parts]).texts(.relPath) == ["a", "b"])
    }

    @Test("An empty relPath is the mapped directory; an empty component is none")
    func emptyRelPath() throws {
        #expect(try Fields(["relPath": [""]]).folder() == .root)
        #expect(throws: ExchangeError.self) { try Fields(["relPath": ["a,,b"]]).folder() }
        #expect(throws: ExchangeError.self) { try Fields(["relPath": ["a", ""]]).folder() }
    }

    @Test("A part that comes twice is refused, unless it is relPath")
    func twice() {
        #expect(throws: Refusal.self) { try Fields(["entity": ["a", "b"]]) }
    }

    @Test("The seed's codes are published ones where somebody published one")
    func codes() {
        #expect(Condition.typeMissing.code(.seed) == "356")
        #expect(Condition.consentMissing.code(.seed) == "500")
        #expect(Condition.consentMissing.code(.later) == "814501")
        #expect(Condition.originRefused.code(.later) == "104025")
        #expect(Condition.noSuchFunction.code(.later) == "112999")
        for condition in Condition.allCases {
            // Origin 5, area, detail: what is made to fit has the shape of the published scheme.
            let later = condition.code(.later)
            #expect(later.count == 6 && Int(later) != nil)
            if !condition.isPublished(.later) { #expect(later.first == "5", "\(condition)") }
            #expect((400...599).contains(condition.status))
            // Published clients read 404 as a missing function whatever the body says.
            if condition != .noSuchFunction { #expect(condition.status != 404) }
        }
    }

    @Test("JSON is written with everything escaped that could be taken for markup or end a string")
    func json() {
        let text = "a\"\\\u{0}\n<script>&\u{7f}é"
        let written = String(decoding: JSONBytes.of(.string(text)), as: UTF8.self)
        #expect(JSONValue(parsing: written)?.string == text)
        #expect(!written.contains("<") && !written.contains("&") && written.allSatisfy { !$0.isNewline })
    }
}
