// SPDX-License-Identifier: GPL-2.0-or-later
//
// Tests of what neither Python nor LAMMPS reaches:
//
//   TEST(name) { CHECK(sum == 3); CHECK_REFUSED(parse("x"), "expected y"); }
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace egraff::tests {

struct Test {
    const char *name;
    void (*run)();
};

inline std::vector<Test> &all_tests() {
    static std::vector<Test> tests;
    return tests;
}

struct Registration {
    explicit Registration(Test test) { all_tests().push_back(test); }
};

// The message names file and line.
#define CHECK(condition)                                                                           \
    if (!(condition)) {                                                                            \
        throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) +          \
                                 ": expected " #condition);                                        \
    }                                                                                              \
    static_assert(true)

// An error whose text holds `expected`.
#define CHECK_REFUSED(expression, expected)                                                        \
    CHECK(egraff::tests::message_of([&] { (void)(expression); }).find(expected) !=                 \
          std::string::npos)

template <typename Action> std::string message_of(const Action &action) {
    try {
        action();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "no error";
}

#define TEST(name)                                                                                 \
    static void name();                                                                            \
    static const egraff::tests::Registration register_##name({#name, name});                       \
    static void name()

} // namespace egraff::tests
