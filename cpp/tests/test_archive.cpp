// SPDX-License-Identifier: GPL-2.0-or-later
//
// What happens to a file behind the back of who has it open; what it may hold is tested in Python.
#include "core/archive.h"
#include "core/error.h"
#include "tests/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace egraff {
namespace {

// A zip archive with one record, "m/a" with the content "text", written by hand.
std::string one_record() {
    const auto number = [](uint32_t value, int bytes) {
        std::string text;
        for (int k = 0; k < bytes; ++k) {
            text += k < 4 ? char(value >> 8 * k & 0xff) : '\0';
        }
        return text;
    };
    const std::string name = "m/a", content = "text";
    const std::string sizes = number(4, 4) + number(4, 4);
    const std::string header = std::string("PK\3\4") + number(20, 2) + number(0, 12) + sizes +
                               number(3, 2) + number(0, 2) + name + content;
    const std::string entry = std::string("PK\1\2") + number(20, 2) + number(20, 2) +
                              number(0, 12) + sizes + number(3, 2) + number(0, 16) + name;
    return header + entry + "PK\5\6" + number(0, 4) + number(1, 2) + number(1, 2) +
           number(uint32_t(entry.size()), 4) + number(uint32_t(header.size()), 4) + number(0, 2);
}

class TemporaryFile {
  public:
    TemporaryFile() {
        const int file = mkstemp(path_);
        const std::string content = one_record();
        CHECK(::write(file, content.data(), content.size()) == ssize_t(content.size()));
        ::close(file);
    }
    ~TemporaryFile() { std::remove(path_); }
    const char *path() const { return path_; }

  private:
    // mkstemp replaces the Xs by a name that is free
    char path_[32] = "/tmp/egraff_archive_XXXXXX";
};

TEST(records_are_found_in_a_folder_of_any_name) {
    const TemporaryFile file;
    const Archive archive(file.path());
    CHECK(archive.records().size() == 1 && archive.find("a") && !archive.find("m/a"));
    CHECK(archive.content(*archive.find("a"), 4) == "text");
    CHECK_REFUSED(archive.content(*archive.find("a"), 3), "a: expected at most 3 bytes, got 4");
}

TEST(a_file_that_shrinks_while_it_is_open_is_damaged) {
    const TemporaryFile file;
    const Archive archive(file.path());
    CHECK(::truncate(file.path(), 20) == 0);
    CHECK_REFUSED(archive.content(*archive.find("a"), 4), "it ends too early");
    CHECK_REFUSED(archive.digest(nullptr), "it ends too early");
}

TEST(a_file_that_is_replaced_while_it_is_open_is_still_the_old_one) {
    const TemporaryFile file, other;
    const Archive archive(file.path());
    CHECK(std::rename(other.path(), file.path()) == 0);
    CHECK(::truncate(file.path(), 0) == 0);
    CHECK(archive.content(*archive.find("a"), 4) == "text");
}

TEST(bytes_beyond_the_end_are_not_read) {
    const TemporaryFile file;
    const Archive archive(file.path());
    char byte = 0;
    CHECK_REFUSED(archive.read(archive.size(), &byte, 1), "it ends too early");
    archive.read(archive.size(), &byte, 0);
}

} // namespace
} // namespace egraff
