// SPDX-License-Identifier: GPL-2.0-or-later
//
// The format is that of PKWARE's APPNOTE.TXT 6.3.10; the numbers in brackets are its sections.
#include "core/archive.h"

#include "core/error.h"
#include "core/foreign.h"
#include "core/sha256.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace egraff {

namespace {

constexpr uint64_t MOST_LIST_BYTES = 16 << 20;
constexpr uint64_t FIRST_BYTES = 4096; // of a file that is no archive, to tell what it is
constexpr size_t CHUNK = 1 << 20;

const std::string GIVE_EXPORTED = "give the file that `egraff export` wrote (*.egraff.pt)";

// A little-endian number inside one of the archive's tables.
template <typename T> T number_at(const std::string &table, uint64_t position) {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, table.data() + position, sizeof value);
    return value;
}

bool starts_with(const std::string &table, uint64_t position, const char (&signature)[5]) {
    return table.compare(position, 4, signature, 4) == 0;
}

// Where the list of records lies.
struct List {
    uint64_t offset, size, n_records;
};

// Sizes and position of a record, which do not fit where they usually stand [4.5.3].
void read_wide_numbers(const std::string &extra, uint64_t &stored, uint64_t &compressed,
                       uint64_t &header) {
    for (uint64_t at = 0; at + 4 <= extra.size();) {
        const auto tag = number_at<uint16_t>(extra, at), size = number_at<uint16_t>(extra, at + 2);
        const uint64_t end = std::min<uint64_t>(at + 4 + size, extra.size());
        uint64_t next = at + 4;
        for (uint64_t *value : {&stored, &compressed, &header}) {
            if (tag == 1 && *value == UINT32_MAX && next + 8 <= end) {
                *value = number_at<uint64_t>(extra, next);
                next += 8;
            }
        }
        at = at + 4 + size;
    }
}

} // namespace

Archive::Archive(std::string path) : path_(std::move(path)) {
    const auto unreadable = [this](const std::string &got) {
        throw Error("expected an exported model, " + got, {path_}, "check the path");
    };
    // opening a named pipe would wait for whoever writes to it
    struct stat about {};
    if (::stat(path_.c_str(), &about) != 0) {
        unreadable(errno == ENOENT ? "found no such file"
                                   : "got a path that cannot be followed: " +
                                         std::string(std::strerror(errno)));
    }
    if (!S_ISREG(about.st_mode)) {
        unreadable(S_ISDIR(about.st_mode) ? "got a directory"
                                          : "got something that is not a regular file");
    }
    file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file_ < 0) {
        unreadable("got a file that cannot be read: " + std::string(std::strerror(errno)));
    }
    size_ = uint64_t(about.st_size);
    try {
        list_records();
    } catch (...) {
        ::close(file_);
        throw;
    }
}

Archive::~Archive() { ::close(file_); }

void Archive::damaged(const std::string &how) const {
    throw Error("expected a complete archive, got a truncated or damaged one (" + how + ")",
                {path_},
                "copy the file again, or export it again: egraff export best.ckpt -o "
                "model.egraff.pt");
}

void Archive::read(uint64_t position, void *bytes, size_t n) const {
    auto *target = static_cast<char *>(bytes);
    while (n > 0) {
        const ssize_t got = ::pread(file_, target, n, off_t(position));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            damaged(got < 0 ? std::strerror(errno) : "it ends too early");
        }
        target += got, position += got, n -= got;
    }
}

std::string Archive::bytes(uint64_t position, uint64_t n) const {
    if (position > size_ || n > size_ - position) {
        damaged("it ends too early");
    }
    std::string content(n, '\0');
    read(position, content.data(), n);
    return content;
}

void Archive::list_records() {
    if (size_ < 4 || !starts_with(bytes(0, 4), 0, "PK\3\4")) {
        const Foreign foreign = recognise_bytes(bytes(0, std::min(size_, FIRST_BYTES)));
        throw Error("expected an exported model (a zip archive), got " +
                        (foreign.what.empty() ? "something else" : foreign.what),
                    {path_}, foreign.fix.empty() ? GIVE_EXPORTED : foreign.fix);
    }
    // the end of the list [4.3.16], and before it, where there is one, its wide form [4.3.14]
    constexpr uint64_t END = 22, LOCATOR = 20, WIDE_END = 56;
    uint64_t end_of_list = size_ - std::min(size_, END);
    const std::string end = bytes(end_of_list, size_ - end_of_list);
    if (end.size() < END || !starts_with(end, 0, "PK\5\6") || number_at<uint16_t>(end, 20) != 0) {
        damaged("it does not end with a list of its records");
    }
    List list{number_at<uint32_t>(end, 16), number_at<uint32_t>(end, 12),
              number_at<uint16_t>(end, 10)};
    if (end_of_list >= LOCATOR + WIDE_END) {
        const std::string wide = bytes(end_of_list - LOCATOR - WIDE_END, WIDE_END + LOCATOR);
        if (starts_with(wide, WIDE_END, "PK\6\7")) {
            end_of_list -= LOCATOR + WIDE_END;
            if (!starts_with(wide, 0, "PK\6\6") ||
                number_at<uint64_t>(wide, WIDE_END + 8) != end_of_list) {
                damaged("two statements about its length contradict each other");
            }
            list = {number_at<uint64_t>(wide, 48), number_at<uint64_t>(wide, 40),
                    number_at<uint64_t>(wide, 32)};
        }
    }
    if (list.size > MOST_LIST_BYTES || list.offset > end_of_list ||
        list.size != end_of_list - list.offset) {
        damaged("the list of its records does not stand where it should");
    }

    constexpr uint64_t ENTRY = 46; // without name and extra fields [4.3.12]
    const std::string table = bytes(list.offset, list.size);
    uint64_t at = 0, total = 0;
    for (uint64_t k = 0; k < list.n_records; ++k) {
        if (at + ENTRY > table.size() || !starts_with(table, at, "PK\1\2")) {
            damaged("record " + std::to_string(k + 1) + " is not in the list");
        }
        const auto flags = number_at<uint16_t>(table, at + 8);
        const auto method = number_at<uint16_t>(table, at + 10);
        uint64_t compressed = number_at<uint32_t>(table, at + 20);
        uint64_t size = number_at<uint32_t>(table, at + 24);
        const uint64_t name = number_at<uint16_t>(table, at + 28);
        const uint64_t extra = number_at<uint16_t>(table, at + 30);
        const uint64_t comment = number_at<uint16_t>(table, at + 32);
        uint64_t header = number_at<uint32_t>(table, at + 42);
        if (at + ENTRY + name + extra + comment > table.size()) {
            damaged("record " + std::to_string(k + 1) + " is not in the list");
        }
        Record record{table.substr(at + ENTRY, name), 0, 0, false};
        read_wide_numbers(table.substr(at + ENTRY + name, extra), size, compressed, header);
        at += ENTRY + name + extra + comment;

        const bool printable = std::all_of(record.name.begin(), record.name.end(),
                                           [](unsigned char c) { return c >= ' ' && c != 127; });
        constexpr uint16_t ENCRYPTED = 1;
        if (record.name.empty() || !printable || (flags & ENCRYPTED)) {
            damaged("record " + std::to_string(k + 1) + " has no readable name or content");
        }
        record.header = header;
        record.size = size;
        record.compressed = method != 0;
        if (compressed > list.offset - total || header > list.offset ||
            (!record.compressed && size != compressed)) {
            damaged("it cannot hold all of " + record.name);
        }
        total += compressed;
        if (record.name.back() != '/') { // else a folder, which zip programs list, too
            records_.push_back(record);
        }
    }
    if (at != table.size()) {
        damaged("its list of records is longer than it says");
    }
    std::sort(records_.begin(), records_.end(),
              [](const Record &a, const Record &b) { return a.name < b.name; });
    const auto twice =
        std::adjacent_find(records_.begin(), records_.end(),
                           [](const Record &a, const Record &b) { return a.name == b.name; });
    if (twice != records_.end()) {
        damaged("it holds " + twice->name + " twice");
    }
}

const Archive::Record *Archive::find(const std::string &name) const {
    for (const Record &record : records_) {
        const size_t folder = record.name.find('/');
        if (folder != std::string::npos &&
            record.name.compare(folder + 1, std::string::npos, name) == 0) {
            return &record;
        }
    }
    return nullptr;
}

// Where the bytes of a record begin: after a header of its own, with name and extra fields [4.3.7].
uint64_t Archive::start_of(const Record &record) const {
    if (record.compressed) {
        throw Error("expected a record that is stored as it is, got a compressed one",
                    {path_, record.name},
                    "give the file that `egraff export` wrote, which no program has packed again");
    }
    constexpr uint64_t HEADER = 30;
    const std::string header = bytes(record.header, HEADER);
    const uint64_t name = number_at<uint16_t>(header, 26);
    const uint64_t start = record.header + HEADER + name + number_at<uint16_t>(header, 28);
    if (!starts_with(header, 0, "PK\3\4") || bytes(record.header + HEADER, name) != record.name ||
        number_at<uint16_t>(header, 8) != 0 || start > size_ || record.size > size_ - start) {
        damaged("it does not hold " + record.name + " where its list says");
    }
    return start;
}

std::string Archive::content(const Record &record, uint64_t most) const {
    if (record.size > most) {
        throw Error("expected at most " + std::to_string(most) + " bytes, got " +
                        std::to_string(record.size),
                    {path_, record.name}, GIVE_EXPORTED);
    }
    return bytes(start_of(record), record.size);
}

std::string Archive::digest(const Record *left_out) const {
    Sha256 list;
    std::string chunk(CHUNK, '\0');
    for (const Record &record : records_) {
        if (&record == left_out) {
            continue;
        }
        Sha256 sum;
        uint64_t position = start_of(record);
        for (uint64_t left = record.size; left > 0;) {
            const size_t n = std::min<uint64_t>(left, CHUNK);
            read(position, chunk.data(), n);
            sum.add(chunk.data(), n);
            position += n, left -= n;
        }
        const std::string line = sum.hexadecimal() + "  " + record.name + "\n";
        list.add(line.data(), line.size());
    }
    return list.hexadecimal();
}

} // namespace egraff
