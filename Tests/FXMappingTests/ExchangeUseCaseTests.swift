import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import FXMapping

/// The use cases of the File Exchange API, each by its name.
@Suite("Exchange use cases")
struct ExchangeUseCaseTests {
    @Test("createType, use case 1: an existing initPath and modal: it is preselected; cancelled or accepted")
    func createTypeAsksWithThePath() throws {
        let bench = try ExchangeBench()
        let path = try bench.scratch.directory("chosen")
        bench.chooser.willAnswer(.cancel)
        #expect(throws: ExchangeError.prompt(.cancelled)) {
            try bench.exchange.createType(try bench.type(), initPath: path, .ask)
        }
        #expect(try !bench.exchange.existsType(try bench.type()))
        bench.chooser.willAnswer(.acceptPreselected)
        let made = try bench.exchange.createType(try bench.type(), initPath: path, .ask)
        #expect(made.mapped.path == path)
        #expect(made.mapped.status == .mapped)
        #expect(made.access == [.read, .write, .execute])
        #expect(bench.chooser.questions.map(\.preselected) == [path, path])
    }

    @Test("createType, use case 2: an existing initPath without modal: no prompt, the type is made")
    func createTypeMapsAtOnce() throws {
        let bench = try ExchangeBench()
        let path = try bench.scratch.directory("chosen")
        let made = try bench.exchange.createType(try bench.type(), initPath: path, .onlyIfNeeded)
        #expect(made.mapped.path == path)
        #expect(bench.chooser.questions.isEmpty)
    }

    @Test(
        "createType, use case 3: a missing initPath: a prompt with the default, whatever modal says",
        arguments: [PromptWish.ask, .onlyIfNeeded])
    func createTypeAsksWithTheDefault(wish: PromptWish) throws {
        let bench = try ExchangeBench()
        let missing = bench.scratch.path + "/missing"
        bench.chooser.willAnswer(.cancel)
        #expect(throws: ExchangeError.prompt(.cancelled)) {
            try bench.exchange.createType(try bench.type(), initPath: missing, wish)
        }
        #expect(try !bench.exchange.existsType(try bench.type()))
        let path = try bench.scratch.directory("chosen")
        bench.chooser.willAnswer(.accept(path))
        #expect(try bench.exchange.createType(try bench.type(), initPath: missing, wish).mapped.path == path)
        #expect(bench.chooser.questions.map(\.preselected) == [bench.home, bench.home])
    }

    @Test(
        "download, use case 1: an existing type: written to mapping and relPath, folders made",
        arguments: [FileExchange.MissingType.refused, .created])
    func downloadIntoAType(missing: FileExchange.MissingType) throws {
        let bench = try ExchangeBench()
        try bench.map()
        let file = try bench.file("july.pdf", in: ["2024", "july"])
        let entry = try bench.put("bytes", to: file, missing)
        #expect(bench.onDisk("scans/2024/july/july.pdf") == "bytes")
        #expect(entry.relPath == ["2024", "july"])
        #expect(entry.fileExtension == "pdf")
        #expect(entry.size == ByteCount(5))
        #expect(bench.chooser.questions.isEmpty)
    }

    @Test("download, use case 2: no such type and no implicit creation: refused, nothing is written")
    func downloadWithoutAType() throws {
        let bench = try ExchangeBench()
        let file = try bench.file("july.pdf", in: ["2024"])
        #expect(throws: ExchangeError.noSuchType(try bench.type())) { try bench.put("bytes", to: file) }
        #expect(bench.chooser.questions.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.home).isEmpty)
    }

    @Test(
        "download, use case 3: no such type and implicit creation: a prompt; cancelled nothing is written, accepted both are made"
    )
    func downloadMakesTheType() throws {
        let bench = try ExchangeBench()
        let file = try bench.file("july.pdf", in: ["2024", "july"])
        bench.chooser.willAnswer(.cancel)
        #expect(throws: ExchangeError.prompt(.cancelled)) { try bench.put("bytes", to: file, .created) }
        #expect(try !bench.exchange.existsType(try bench.type()))
        let path = try bench.scratch.directory("chosen")
        bench.chooser.willAnswer(.accept(path))
        try bench.put("bytes", to: file, .created)
        #expect(bench.chooser.questions.map(\.preselected) == [bench.home, bench.home])
        #expect(try bench.exchange.listType(try bench.type()).mapped.path == path)
        #expect(bench.onDisk("chosen/2024/july/july.pdf") == "bytes")
    }
}
