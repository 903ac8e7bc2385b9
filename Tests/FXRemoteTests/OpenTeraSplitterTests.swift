import FXSystem
import Testing

@testable import FXRemote

/// Lists that are read while they arrive: cutting the array, and keeping records of it.
@Suite struct OpenTeraSplitterTests {
    /// The elements of pieces that come one after the other.
    private func split(_ pieces: [[UInt8]], largest: Int = 1000) throws -> (elements: [String], isWhole: Bool) {
        var splitter = JSONArraySplitter(largestElement: largest)
        var found: [String] = []
        for piece in pieces { found += try splitter.take(piece).map { String(decoding: $0, as: UTF8.self) } }
        return (found, splitter.isWhole)
    }

    private func failure(_ text: String, largest: Int = 1000) -> JSONArraySplitter.Failure? {
        do { _ = try split([Array(text.utf8)], largest: largest) } catch {
            return error as? JSONArraySplitter.Failure
        }
        return nil
    }

    private static let arrays: [(String, [String])] = [
        ("[]", []), (" [ ]\n", []), ("null\n", []),
        (
            #"[{"a":1},{"b":[1,[2,{}]]},[],"x",-1.5e3,true,null]"#,
            [#"{"a":1}"#, #"{"b":[1,[2,{}]]}"#, "[]", #""x""#, "-1.5e3", "true", "null"]
        ),
        (#"[{"n":"]},[{"},"\"","\\",",\\\"]"]"#, [#"{"n":"]},[{"}"#, #""\"""#, #""\\""#, #"",\\\"]""#]),
        (#"["\u005d\u0022\ud83d\ude00","é😀"]"#, [#""\u005d\u0022\ud83d\ude00""#, #""é😀""#]),
    ]

    @Test(arguments: arrays) func `an array is cut into the same elements wherever it is cut`(
        text: String, elements: [String]
    ) throws {
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            let (found, isWhole) = try split([Array(bytes[..<cut]), Array(bytes[cut...])])
            #expect(found == elements && isWhole, "cut at \(cut)")
        }
        let (found, isWhole) = try split(bytes.map { [$0] })
        #expect(found == elements && isWhole)
    }

    @Test func `what is between elements does not hurt them`() throws {
        let (found, isWhole) = try split([Array("\t[ 1 ,\r\n {\"a\" : [ ] } ]  ".utf8)])
        #expect(found.compactMap { JSONValue(parsing: $0) } == [1, ["a": []]])
        #expect(isWhole)
    }

    @Test func `an array that ends early is not whole, at any byte`() throws {
        let bytes = Array(#"[{"a":"x\"]"},2]"#.utf8)
        for count in 0..<bytes.count {
            let (found, isWhole) = try split([Array(bytes[..<count])])
            #expect(!isWhole, "\(count) bytes")
            #expect(found.count <= 1)
        }
        for text in ["nul", "[{]", #"["]"#] { #expect(try split([Array(text.utf8)]).isWhole == false) }
    }

    @Test func `what is no array is refused, and so is what comes after one`() {
        for text in ["{}", "<html>", "\"[]\"", "n ull", "nothing", "1"] { #expect(failure(text) == .noArray) }
        for text in ["[1]x", "[] []", "null,", "[]]"] { #expect(failure(text) == .garbage) }
        for text in ["[,]", "[1,]", "[1,,2]", "[}]", "[1}]"] { #expect(failure(text) == .malformed) }
        #expect(failure("[1]\n \t\r") == nil)
    }

    @Test func `an element has a bound, and the array has none`() throws {
        let element = "\"" + String(repeating: "x", count: 98) + "\""
        let many = "[" + Array(repeating: element, count: 500).joined(separator: ",") + "]"
        #expect(try split([Array(many.utf8)], largest: 100).elements.count == 500)
        #expect(failure("[\(element)]", largest: 99) == .elementTooLarge)
        // Also one that does not end.
        #expect(failure("[" + String(repeating: "[", count: 200), largest: 100) == .elementTooLarge)
    }

    // MARK: - Records

    /// What a sink makes of an answer that comes in small pieces.
    private func listed(_ text: String, keeping most: Int = .max) throws -> OpenTeraAssetList {
        let sink = OpenTeraAssetSink { asset, kept in kept < most ? asset : nil }
        #expect(sink.begin(status: 200, fields: [:]))
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: 7) {
            let isTaken = bytes[start..<min(start + 7, bytes.count)].withUnsafeBytes { sink.receive($0) }
            if !isTaken { break }
        }
        return try sink.list()
    }

    @Test func `records are kept as far as they are wanted`() throws {
        let text = #"[{"asset_uuid": "a", "asset_name": "\u00e9"}, 7, {"asset_uuid": ""}, {"asset_uuid": "b"}]"# + "\n"
        let all = try listed(text)
        #expect(all.assets.map(\.uuid) == ["a", "b"])
        #expect(all.assets.first?.name == "é")
        #expect(all.total == 4)
        #expect(try listed(text, keeping: 1).assets.map(\.uuid) == ["a"])
        #expect(try listed(text, keeping: 1).total == 4)
        #expect(try listed("null") == OpenTeraAssetList())
    }

    @Test(arguments: [
        "", "[", #"[{"asset_uuid":"a"}"#, #"[{"asset_uuid":"a"}]x"#, "{}", "[{]", "[{\"asset_uuid\"}]", "<html>",
    ]) func `an answer that is no list, or not all of one, is an error and never a shorter list`(text: String) {
        #expect(throws: RemoteError.protocolViolation) { try listed(text) }
    }

    @Test func `more records than are kept of a session are an error`() throws {
        let sink = OpenTeraAssetSink { asset, _ in asset }
        #expect(sink.begin(status: 200, fields: [:]))
        let thousand = Array(Array(repeating: #"{"asset_uuid":"a"}"#, count: 1000).joined(separator: ",").utf8)
        var isTaken = true
        for number in 0...OpenTeraAssetSink.limit / 1000 where isTaken {
            isTaken = (Array((number == 0 ? "[" : ",").utf8) + thousand).withUnsafeBytes { sink.receive($0) }
        }
        #expect(!isTaken)
        #expect(throws: RemoteError.protocolViolation) { try sink.list() }
    }
}
