import FXSystem
import SystemPackage
import Testing

@testable import FXMapping

@Suite("Exchange parameters")
struct ExchangeParameterTests {
    /// Names that no operation takes, and what is said of them.
    static let wrongNames: [(String, ParameterFault)] = [
        ("", .empty), (".", .dots), ("..", .dots), ("a/b", .separator), ("/etc", .separator), ("a\\b", .separator),
        ("..\\x", .separator), ("C:", .driveLetter), ("c:x", .driveLetter), ("a\0b", .nul), (".fxversions", .reserved),
        (String(repeating: "x", count: 256), .tooLong(256)), (String(repeating: "é", count: 128), .tooLong(256)),
    ]
    /// Names that look odd and are names.
    static let oddNames = [
        "a,b", "*", "?", "[a]", "...", "-rf", " ", "1:", "ä:", "a\nb", "$(id)", "%2e%2e", "\u{202e}txt", ".hidden",
        "é", "e\u{301}", String(repeating: "x", count: 255),
    ]

    @Test("A file name is one exact name", arguments: wrongNames)
    func fileNames(name: String, fault: ParameterFault) throws {
        let type = try TypeAddress(entity: "e", type: "t")
        #expect(throws: ExchangeError.parameter(.fileName, fault)) { try FileAddress(type, fileName: name) }
        #expect(throws: ExchangeError.parameter(.relPath, fault)) { try FolderPath(["a", name, "b"]) }
        #expect(throws: ExchangeError.parameter(.toRelPath, fault)) { try FolderPath([name], as: .toRelPath) }
        #expect(throws: ExchangeError.parameter(.relPath, fault)) { try FileAddress(type, path: ["a", name]) }
        #expect(throws: ExchangeError.parameter(.relPath, fault)) { try FileAddress(type, path: [name, "a"]) }
        let bench = try ExchangeBench()
        try bench.map()
        try bench.put("x", to: try bench.file("f"))
        #expect(throws: ExchangeError.parameter(.newFileName, fault)) {
            try bench.exchange.renameFile(try bench.file("f"), to: name)
        }
        #expect(throws: ExchangeError.parameter(.newFileName, fault)) {
            try bench.exchange.copyFile(try bench.file("f"), to: try TypeName("scans"), as: name)
        }
        #expect(try bench.exchange.listTypeContent(try bench.type()).files.map(\.name) == ["f"])
    }

    @Test(
        "Entities and types have names as everywhere else",
        arguments: ["", ".", "..", ".x", "a/b", "a\0b", "a\u{202e}", "a\nb", String(repeating: "x", count: 256)])
    func typeNames(name: String) {
        for (entity, type, parameter) in [(name, "t", ExchangeParameter.entity), ("e", name, .type)] {
            let error = #expect(throws: ExchangeError.self) { try TypeAddress(entity: entity, type: type) }
            guard case .parameter(parameter, _) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    @Test("An absent parameter is named")
    func absent() throws {
        let type = try TypeAddress(entity: "e", type: "t")
        #expect(throws: ExchangeError.parameter(.entity, .missing)) { try TypeAddress(entity: nil, type: "t") }
        #expect(throws: ExchangeError.parameter(.type, .missing)) { try TypeAddress(entity: "e", type: nil) }
        #expect(throws: ExchangeError.parameter(.toType, .missing)) {
            try TypeAddress(entity: "e", type: nil, as: .toType)
        }
        #expect(throws: ExchangeError.parameter(.fileName, .missing)) { try FileAddress(type, fileName: nil) }
        #expect(throws: ExchangeError.parameter(.relPath, .missing)) { try FileAddress(type, path: nil) }
        #expect(throws: ExchangeError.parameter(.relPath, .missing)) { try FileAddress(type, path: []) }
        let bench = try ExchangeBench()
        try bench.map()
        #expect(throws: ExchangeError.parameter(.newFileName, .missing)) {
            try bench.exchange.renameFile(try bench.file("f"), to: nil)
        }
        #expect(try FolderPath(nil) == .root)
        #expect(try FolderPath([]) == .root)
    }

    @Test("A path longer than the kernel takes is refused before anything is looked at")
    func longPaths() throws {
        let long = Array(repeating: String(repeating: "x", count: 200), count: 21)
        #expect(throws: ExchangeError.parameter(.relPath, .tooLong(4220))) { try FolderPath(long) }
        let bench = try ExchangeBench()
        try bench.map()
        // As long as allowed, and not there.
        let folder = try FolderPath(Array(long.dropLast()))
        #expect(throws: ExchangeError.self) { try bench.exchange.listTypeContent(try bench.type(), folder) }
        #expect(try !bench.exchange.existsFile(try FileAddress(try bench.type(), path: ["x", "y"])))
    }

    @Test("A page starts at 0 or later, has at least one entry, and is sorted ASC or DESC")
    func pages() throws {
        #expect(throws: ExchangeError.parameter(.start, .outOfRange)) { try Page(start: -1, size: 1, sort: nil) }
        #expect(throws: ExchangeError.parameter(.size, .outOfRange)) { try Page(start: 0, size: 0, sort: nil) }
        #expect(throws: ExchangeError.parameter(.sort, .unknownValue)) { try Page(start: 0, size: 1, sort: "up") }
        let items = Array(0..<10)
        #expect(Page.all.part(of: items) == items)
        #expect(try Page(start: 3, size: 2, sort: "ASC").part(of: items) == [3, 4])
        #expect(try Page(start: 3, size: 2, sort: "desc").part(of: items) == [6, 5])
        #expect(try Page(start: 8, size: 5, sort: nil).part(of: items) == [8, 9])
        #expect(try Page(start: 8, size: 5, sort: "DESC").part(of: items) == [1, 0])
        #expect(try Page(start: 10, size: 5, sort: nil).part(of: items) == [])
        #expect(try Page(start: .max, size: .max, sort: "DESC").part(of: items) == [])
        #expect(try Page(start: nil, size: nil, sort: "DESC").part(of: items) == items.reversed())
    }

    @Test("Odd names make the round trip, and no pattern is seen in them")
    func oddNamesWork() throws {
        let bench = try ExchangeBench()
        let type = try bench.map()
        for name in Self.oddNames {
            let file = try bench.file(name, in: [name])
            try bench.put(name, to: file)
            #expect(try bench.get(file) == name)
            #expect(try bench.exchange.getFileInfo(file).name == name)
        }
        let listed = try bench.exchange.listTypeContent(type).files.map { Array($0.name.utf8) }
        #expect(listed == Self.oddNames.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) })
    }

    @Test("The prompt rules, row by row")
    func promptRules() {
        func creating(_ usable: String?, _ wish: PromptWish, _ mapped: String?) -> PromptRule {
            .creatingType(.init(usablePath: usable, wish: wish, mapped: mapped, home: "/h"))
        }
        #expect(creating("/d", .ask, nil) == .ask(preselected: "/d"))
        #expect(creating("/d", .onlyIfNeeded, nil) == .map("/d"))
        #expect(creating("/d", .onlyIfNeeded, "/old") == .map("/d"))
        #expect(creating(nil, .ask, nil) == .ask(preselected: "/h"))
        #expect(creating(nil, .onlyIfNeeded, nil) == .ask(preselected: "/h"))
        for (usable, wish) in [("/d", PromptWish.ask), (nil, .ask), (nil, .onlyIfNeeded)] {
            #expect(creating(usable, wish, "/old") == .ask(preselected: "/old"))
        }
        for wish in [PromptWish.ask, .onlyIfNeeded] {
            let facts = PromptRule.Facts(usablePath: nil, wish: wish, mapped: "/old", home: "/h")
            #expect(PromptRule.updatingType(facts) == .ask(preselected: "/old"))
            #expect(PromptRule.needingType(isMapped: true, facts) == .keep)
            #expect(PromptRule.needingType(isMapped: false, facts) == .ask(preselected: "/h"))
        }
    }
}
